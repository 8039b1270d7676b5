// A page in a real browser against our server, over each transport:
//
//     node run.mjs --bin ../../target/debug/capnweb-interop [--browser /usr/bin/chromium] [--over ws,batch,webtransport] [--only TEXT]
//
// Prints what failed, a table and its sum, and exits with 1 if anything failed. `cargo xtask interop --browser`
// builds the program, installs what is missing and runs this.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "./launch.mjs";

const READY_SECONDS = 15;
const RUN_SECONDS = 180;

const { values: options } = parseArgs({
  options: {
    bin: { type: "string" },
    browser: { type: "string", default: "/usr/bin/chromium" },
    over: { type: "string", default: "ws,batch,webtransport" },
    only: { type: "string" },
  },
});
for (const [option, path] of [["bin", options.bin], ["browser", options.browser]]) {
  if (!path || !existsSync(path)) {
    console.error(`run.mjs: --${option} must name a program, and ${path} is none`);
    process.exit(2);
  }
}

/** What the page may load, and where it is. */
const FILES = {
  "/": ["page.html", "text/html"],
  "/checks.js": ["checks.js", "text/javascript"],
  "/capnweb-webtransport.js": ["capnweb-webtransport.js", "text/javascript"],
  "/capnweb.js": ["node_modules/capnweb/dist/index.js", "text/javascript"],
};

const rows = new Map();
const servers = new Map();
const late = setTimeout(() => {
  console.error(`run.mjs: still running after ${RUN_SECONDS} s`);
  for (const { child } of servers.values()) child.kill("SIGKILL");
  process.exit(1);
}, RUN_SECONDS * 1000);

const files = await serveFiles();
let browser;
try {
  browser = await launch(options.browser);
  const page = await browser.newPage();
  page.on("pageerror", (error) => fail("all", "the page runs without an error", error.stack));
  await page.exposeFunction("report", report);
  await page.exposeFunction("startServer", startServer);
  await page.exposeFunction("killServer", killServer);
  await page.goto(`http://127.0.0.1:${files.address().port}/`);
  const server = await startServer();
  for (const over of options.over.split(",")) {
    await page.evaluate(
      async (setting) => (await import("/checks.js")).runChecks(setting),
      { over, server, only: options.only },
    );
  }
  if (servers.get(server.id)?.child.exitCode !== null) fail("all", "the server stays up", "it does not");
} catch (error) {
  fail("all", "the browser ran through", error.stack);
} finally {
  await browser?.close();
  for (const id of [...servers.keys()]) await killServer(id);
  files.close();
  clearTimeout(late);
}
if (rows.size === 0 && !options.only) fail("all", "the page reported checks", "it did not");
printTable();
process.exit([...rows.values()].some(({ failed }) => failed > 0) ? 1 : 0);

function row(over) {
  if (!rows.has(over)) rows.set(over, { over, passed: 0, failed: 0, ms: 0 });
  return rows.get(over);
}

function report({ check, over, ok, ms, detail }) {
  row(over).ms += ms;
  if (ok) row(over).passed += 1;
  else fail(over, check, detail);
}

function fail(over, title, detail) {
  row(over).failed += 1;
  console.error(`FAILED  ${over}: ${title}\n${String(detail).replace(/^/gm, "    ")}`);
}

/** A server of ours, told as the page needs it. */
async function startServer() {
  const child = spawn(options.bin, ["serve", "--listen", "127.0.0.1:0", "--webtransport", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (text) => (errors = (errors + text).slice(-20_000)));
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, "line", { signal: AbortSignal.timeout(READY_SECONDS * 1000) });
  const { addr, webtransport } = JSON.parse(line);
  const id = String(child.pid);
  servers.set(id, { child, errors: () => errors });
  return {
    id,
    http: `http://${addr}/`,
    ws: `ws://${addr}/`,
    webtransport: `https://${webtransport.addr}/`,
    hash: webtransport.hash,
  };
}

async function killServer(id) {
  const { child, errors } = servers.get(id);
  servers.delete(id);
  if (child.exitCode === null) {
    child.kill("SIGKILL");
    await once(child, "close");
  }
  if (/panicked at/.test(errors())) fail("all", "nothing panicked", errors());
}

async function serveFiles() {
  const server = createServer(async (request, response) => {
    const file = FILES[new URL(request.url, "http://localhost").pathname];
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    const [path, type] = file;
    response.writeHead(200, { "content-type": `${type}; charset=utf-8` });
    response.end(await readFile(fileURLToPath(new URL(path, import.meta.url))));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function printTable() {
  const all = [...rows.values()];
  for (const { over, passed, failed, ms } of all) {
    console.log(`${over.padEnd(14)}${String(passed).padStart(4)} passed${String(failed).padStart(4)} failed${String(ms).padStart(7)} ms`);
  }
  const sum = (key) => all.reduce((total, row) => total + row[key], 0);
  console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
}
