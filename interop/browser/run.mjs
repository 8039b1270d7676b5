// A page in a real browser against our server, over each transport:
//
//     node run.mjs --bin ../../target/debug/capnweb-interop [--engine chromium|firefox] [--browser /usr/bin/chromium] [--over ws,batch,webtransport] [--only TEXT]
//
// Prints what failed, a table and its sum, and exits with 1 if anything failed. `cargo xtask interop --browser`
// builds the program, installs what is missing and runs this.

import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Harness } from "./harness.mjs";

const RUN_SECONDS = 180;

/** The browsers that are known: where Debian has them, and what starts them. */
const ENGINES = {
  chromium: ["/usr/bin/chromium", "./launch.mjs"],
  firefox: ["/usr/bin/firefox-esr", "./firefox.mjs"],
};

const { values: options } = parseArgs({
  options: {
    bin: { type: "string" },
    engine: { type: "string", default: "chromium" },
    browser: { type: "string" },
    over: { type: "string", default: "ws,batch,webtransport" },
    only: { type: "string" },
  },
});
if (!ENGINES[options.engine]) {
  console.error(`run.mjs: --engine is one of ${Object.keys(ENGINES).join(", ")}, not ${options.engine}`);
  process.exit(2);
}
const [usual, launcher] = ENGINES[options.engine];
options.browser ??= usual;
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
  "/kinds.mjs": ["../typescript/kinds.mjs", "text/javascript"],
  "/assert.mjs": ["../typescript/assert.mjs", "text/javascript"],
  "/capnweb-webtransport.js": ["capnweb-webtransport.js", "text/javascript"],
  "/capnweb.js": ["node_modules/capnweb/dist/index.js", "text/javascript"],
};

const harness = new Harness(options.engine, options.bin, RUN_SECONDS);
const files = await serveFiles();
let browser;
try {
  const { launch } = await import(launcher);
  browser = await launch(options.browser);
  const page = await browser.newPage();
  page.on("pageerror", (error) => {
    // Firefox reports every request so that fails, as those do whose server a check ends.
    if (/^Cross-Origin Request Blocked: .*did not succeed/.test(error.message)) return;
    harness.fail("all", "the page runs without an error", error.stack);
  });
  await page.exposeFunction("report", (report) => harness.report(report));
  await page.exposeFunction("startServer", () => harness.startServer());
  await page.exposeFunction("killServer", (id) => harness.killServer(id));
  await page.goto(`http://127.0.0.1:${files.address().port}/`);
  const server = await harness.startServer();
  await page.evaluate(
    async (setting) => (await import("/checks.js")).runChecks(setting),
    { over: options.over.split(","), server, only: options.only },
  );
  if (harness.hasEnded(server.id)) harness.fail("all", "the server stays up", "it does not");
  if (!options.only) {
    // A value of each row that TypeScript declarations have.
    const rows = await harness.startServer(["rows"]);
    const found = await page.evaluate(async (url) => {
      const { ask } = await import("/kinds.mjs");
      const reports = [];
      let began = performance.now();
      await ask(new WebSocket(url), (check, problem) => {
        const ms = Math.round(performance.now() - began);
        began = performance.now();
        reports.push({ check, over: "rows", ok: !problem, ms, detail: problem && String(problem.stack ?? problem) });
      });
      return reports;
    }, rows.ws);
    for (const report of found) harness.report(report);
  }
} catch (error) {
  harness.fail("all", "the browser ran through", error.stack);
} finally {
  await browser?.close();
  files.close();
}
process.exit(await harness.finish({ mayBeEmpty: options.only !== undefined }));

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
