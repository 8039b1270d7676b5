// Every direction over every transport, in one go:
//
//     node run.mjs --bin ../../target/debug/capnweb-interop [--only TEXT] [--setting NUMBER] [--seed N] [--values N]
//         [--jobs N] [--slowest N] [--inspect ../../target/debug/capnweb]
// With `--web DIR` it is the same program compiled to WebAssembly that is checked, which `cargo xtask wasm` made.
//
// Each server runs on a free port and is stopped when its checks are done. As many settings run at a time as there are
// cores, or `--jobs`. Prints what failed, a table and its sum, and exits with 1 if anything failed; `--slowest` also
// prints the checks that took longest. `cargo xtask interop` builds the program, installs the npm packages and runs
// this. With `--inspect`, the sessions of the first settings pass through `capnweb inspect`, whose recording has to make
// sense; WebTransport does not pass through it, and checks that only move much are left out.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const READY_SECONDS = 15;

const { values: options } = parseArgs({
  options: {
    bin: { type: "string" },
    only: { type: "string" },
    setting: { type: "string", multiple: true },
    // Of the random values: the same seed makes the same ones.
    seed: { type: "string", default: "1" },
    values: { type: "string", default: "100000" },
    jobs: { type: "string", default: String(availableParallelism()) },
    slowest: { type: "string", default: "0" },
    // The program that sessions pass through.
    inspect: { type: "string" },
    web: { type: "string" },
  },
});
// Modules are not optimized.
const CHECKS_SECONDS = options.web ? 300 : 120;
if (!options.bin || !existsSync(options.bin)) {
  console.error("run.mjs: --bin must name the capnweb-interop program, which `cargo build -p capnweb-interop` makes");
  process.exit(2);
}
if (!existsSync(new URL("node_modules/capnweb", import.meta.url))) {
  console.error("run.mjs: the npm packages are not there: run `npm ci` in interop/node");
  process.exit(2);
}

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const rust = (...args) => [options.bin, ...args];
const node = (file, ...args) => [process.execPath, here(file), ...args];
const sampling = ["--seed", options.seed, "--values", options.values];
const LISTEN = ["--listen", "127.0.0.1:0"];

/** Checks that move much, all of it alike: nothing that the inspector does not see in others. */
const BULK = [
  "limits: a message beyond",
  "limits: exports beyond",
  "limits: calls in flight beyond",
  "limits: a map that multiplies",
  "limits: a value doubled",
  "streams: megabytes",
  "streams: a slow reader",
  "streams: we hold the peer",
];
if (options.inspect) sampling.push("--without", BULK.join("|"));

const natively = [
  { name: "Node client → Node server", server: node("server.mjs", ...LISTEN), client: node("client.mjs", "--peer", "node", ...sampling) },
  { name: "Node client → Rust server", server: rust("serve", ...LISTEN), client: node("client.mjs", "--peer", "rust", ...sampling) },
  { name: "Rust client → Node server", server: node("server.mjs", ...LISTEN), client: rust("client", "--peer", "node", ...sampling) },
  {
    name: "Rust client → Rust server",
    server: rust("serve", ...LISTEN, "--webtransport", "127.0.0.1:0"),
    client: rust("client", "--peer", "rust", "--over", options.inspect ? "ws,batch" : "ws,batch,webtransport", ...sampling),
  },
  { name: "Node client → Rust proxy → Node server", server: rust("proxy", ...LISTEN), client: node("proxy-check.mjs") },
];

/** The program for JavaScript hosts: in Node, in Chromium, and in a Worker. */
const onTheWeb = (folder) => {
  const inNode = node("../web/client.mjs", "--module", `${folder}/web`);
  const inChromium = node("../web/chromium.mjs", "--module", `${folder}/web`);
  const worker = node("../web/worker.mjs", "--module", `${folder}/bundler`);
  const ours = rust("serve", ...LISTEN, "--webtransport", "127.0.0.1:0");
  const theirs = node("server.mjs", ...LISTEN);
  return [
    { name: "WebAssembly in Node → Node server", server: theirs, client: [...inNode, "--peer", "node", ...sampling] },
    { name: "WebAssembly in Node → Rust server", server: ours, client: [...inNode, "--peer", "rust", ...sampling] },
    { name: "WebAssembly in Chromium → Node server", server: theirs, client: [...inChromium, "--peer", "node", ...sampling] },
    {
      name: "WebAssembly in Chromium → Rust server",
      server: ours,
      client: [...inChromium, "--peer", "rust", "--over", "ws,batch,webtransport", ...sampling],
    },
    { name: "Node client → Worker", server: worker, client: node("client.mjs", "--peer", "worker", ...sampling) },
    { name: "Rust client → Worker", server: worker, client: rust("client", "--peer", "rust", ...sampling) },
    { name: "WebAssembly in Node → Worker", server: worker, client: [...inNode, "--peer", "rust", ...sampling] },
  ];
};
const settings = options.web ? onTheWeb(options.web) : options.inspect ? natively.slice(0, 4) : natively;

/** The paths of peers whose messages the checks write themselves: see `Context.raw` and `Context.post`. */
const RAW = /[?&]raw\b/;

const slowest = [];
const runs = settings.map((setting) => () => runSetting(setting));
// This one counts pings, so it has the machine to itself.
const alone = async () => [await runProgram("processes that stop", "lifetime.mjs")];
if (!options.web && !options.inspect) {
  runs.push(runAgainstNobody, alone, async () => [await runProgram("old versions", "versions.mjs")]);
}
const chosen = runs.filter((_, index) => !options.setting || options.setting.includes(String(index + 1)));
const together = chosen.filter((run) => run !== alone);
const rows = (await inParallel(together, Number(options.jobs))).flat();
if (chosen.includes(alone)) rows.push(...(await alone()));
printTable(rows);
slowest.sort((one, other) => other.ms - one.ms);
for (const { name, over, check, ms } of slowest.slice(0, Number(options.slowest))) console.log(`${ms} ms  ${name}, ${over}: ${check}`);
console.log(`random values: ${options.values} with --seed ${options.seed}`);
printSum(rows);
process.exit(rows.some((row) => row.failed > 0) ? 1 : 0);

/** Runs functions, so many at a time, and returns what they return in their order. */
async function inParallel(functions, atATime) {
  const results = [];
  let next = 0;
  const work = async () => {
    while (next < functions.length) {
      const index = next++;
      results[index] = await functions[index]();
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, atATime) }, work));
  return results;
}

/** One server, one client, one row for each transport that the client reports on. */
async function runSetting({ name, server, client }) {
  const serving = start(server);
  let inspector = null;
  const tally = new Map();
  const row = (over) => {
    if (!tally.has(over)) tally.set(over, { name, over, passed: 0, failed: 0, skipped: 0, ms: 0 });
    return tally.get(over);
  };
  const fail = (over, title, detail) => {
    row(over).failed += 1;
    console.error(`FAILED  ${name}, ${over}: ${title}\n${indent(detail)}`);
  };

  try {
    const { addr, webtransport } = await ready(serving);
    const only = options.only ? ["--only", options.only] : [];
    inspector = options.inspect ? await inspect(`http://${addr}`) : null;
    const too = webtransport ? ["--webtransport", `https://${webtransport.addr}/`, "--hash", webtransport.hash] : [];
    const checking = start([...client, "--url", inspector?.url ?? `http://${addr}`, ...too, ...only]);
    const late = setTimeout(() => checking.child.kill("SIGKILL"), CHECKS_SECONDS * 1000);
    for await (const line of checking.lines) {
      const report = parseReport(line);
      if (!report) continue;
      const { check, over, ok, skipped, ms = 0, detail } = report;
      row(over).ms += ms;
      slowest.push({ name, over, check, ms });
      if (!ok) fail(over, check, detail);
      else if (skipped) row(over).skipped += 1;
      else row(over).passed += 1;
    }
    const status = await checking.exited;
    clearTimeout(late);
    const reported = [...tally.values()].reduce((sum, { failed }) => sum + failed, 0);
    if (status !== 0 && reported === 0) fail("all", "the client ran through", `${status}\n${checking.errors()}`);
    if (tally.size === 0 && !options.only) fail("all", "the client reported checks", checking.errors());
    if (serving.child.exitCode !== null) fail("all", "the server stayed up", serving.errors());
    if (inspector) {
      const faults = await inspector.faults();
      if (faults.length > 0) fail("all", "what passed through the inspector makes sense", faults.slice(0, 20).join("\n"));
      else row("ws").passed += 1;
    }
    if (/panicked at/.test(serving.errors() + checking.errors())) {
      fail("all", "nothing panicked", serving.errors() + checking.errors());
    }
  } catch (error) {
    fail("all", "the setting ran", `${error.stack}\n${serving.errors()}`);
  } finally {
    inspector?.child.kill("SIGINT");
    await inspector?.exited;
    serving.child.kill();
    await serving.exited;
  }
  return [...tally.values()];
}

/** Starts `capnweb inspect` in front of a server. */
async function inspect(to) {
  const folder = mkdtempSync(join(tmpdir(), "capnweb-inspect-"));
  const file = join(folder, "recording.jsonl");
  const args = ["inspect", "--listen", "127.0.0.1:0", "--to", to, "--record", file, "--quiet", "--no-redact"];
  const child = spawn(options.inspect, args, { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "close");
  const [line] = await once(createInterface({ input: child.stderr }), "line", {
    signal: AbortSignal.timeout(READY_SECONDS * 1000),
  });
  const url = /http:\/\/[^/]+/.exec(line)[0];
  return {
    url,
    child,
    exited,
    /** What is wrong with the recording, besides what the checks send on purpose. */
    async faults() {
      child.kill("SIGINT");
      await exited;
      const reading = start([options.inspect, "inspect", file, "--json"]);
      let json = "";
      for await (const text of reading.lines) json += text;
      const status = await reading.exited;
      if (!process.env.KEEP_RECORDINGS) rmSync(folder, { recursive: true });
      if (status !== 0) return [`the recording is not read: ${reading.errors()}`];
      const sessions = JSON.parse(json);
      if (sessions.length === 0) return ["nothing was recorded"];
      return sessions.flatMap((session) => {
        const { id, path, faults } = session;
        // A raw peer may break the protocol on purpose. What comes after that is up to the server.
        const first = RAW.test(path) ? faults.findIndex((fault) => /^message \d+: the client /.test(fault)) : -1;
        return (first < 0 ? faults : faults.slice(0, first)).map((fault) => `session ${id}, ${path}: ${fault}`);
      });
    },
  };
}

/**
 * Without a server no check passes, and the clients say so by their exit code. One row a client, in which each
 * transport counts as one.
 */
async function runAgainstNobody() {
  const clients = { Node: node("client.mjs"), Rust: rust("client") };
  return Promise.all(
    Object.entries(clients).map(async ([language, client]) => {
      const row = { name: `${language} client → nobody`, over: "both", passed: 0, failed: 0, skipped: 0, ms: 0 };
      const began = performance.now();
      const only = options.only ? ["--only", options.only] : [];
      const checking = start([...client, "--url", `http://127.0.0.1:${await closedPort()}`, ...only]);
      const late = setTimeout(() => checking.child.kill("SIGKILL"), CHECKS_SECONDS * 1000);
      const passed = { ws: [], batch: [] };
      let failed = 0;
      for await (const line of checking.lines) {
        const report = parseReport(line);
        if (report?.ok && !report.skipped) passed[report.over].push(report.check);
        else if (report && !report.ok) failed += 1;
      }
      const status = await checking.exited;
      clearTimeout(late);
      row.ms = performance.now() - began;
      if (failed > 0 && status !== 1) passed.ws.push(`the exit code is ${status}\n${checking.errors()}`);
      for (const [over, checks] of Object.entries(passed)) {
        if (checks.length === 0) row.passed += 1;
        else {
          row.failed += 1;
          console.error(`FAILED  ${row.name}, ${over}: no check passes\n${indent(checks.join("\n"))}`);
        }
      }
      return row;
    }),
  );
}

/** A program of checks that starts the processes that it needs. */
async function runProgram(name, file) {
  const row = { name, over: "ws", passed: 0, failed: 0, skipped: 0, ms: 0 };
  const only = options.only ? ["--only", options.only] : [];
  const checking = start(node(file, "--bin", options.bin, ...only));
  const late = setTimeout(() => checking.child.kill("SIGKILL"), CHECKS_SECONDS * 1000);
  const fail = (title, detail) => {
    row.failed += 1;
    console.error(`FAILED  ${row.name}, ws: ${title}\n${indent(detail)}`);
  };
  for await (const line of checking.lines) {
    const report = parseReport(line);
    if (!report) continue;
    row.ms += report.ms;
    if (report.ok) row.passed += 1;
    else fail(report.check, report.detail);
  }
  const status = await checking.exited;
  clearTimeout(late);
  if (status !== 0 && row.failed === 0) fail("the checks ran through", `${status}\n${checking.errors()}`);
  if (row.passed + row.failed === 0 && !options.only) fail("the checks reported", checking.errors());
  return row;
}

/** A port on which nobody listens. */
async function closedPort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function start([command, ...args]) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (text) => (errors = (errors + text).slice(-20_000)));
  const exited = new Promise((resolve) => {
    child.once("error", (error) => {
      errors += error;
      resolve(String(error));
    });
    child.once("close", (code, signal) => resolve(signal ?? code));
  });
  return { child, exited, errors: () => errors, lines: createInterface({ input: child.stdout }) };
}

async function ready({ lines, exited, errors }) {
  const gone = exited.then((status) => Promise.reject(new Error(`the server ended with ${status}: ${errors()}`)));
  gone.catch(() => {});
  const [line] = await Promise.race([once(lines, "line", { signal: AbortSignal.timeout(READY_SECONDS * 1000) }), gone]);
  return JSON.parse(line);
}

function parseReport(line) {
  try {
    return JSON.parse(line);
  } catch {
    console.error(line);
    return undefined;
  }
}

function indent(text = "") {
  return String(text).trimEnd().replace(/^/gm, "    ");
}

function printTable(rows) {
  const cells = [["setting", "over", "passed", "failed", "skipped", "seconds"]];
  for (const { name, over, passed, failed, skipped, ms } of rows) {
    cells.push([name, over, passed, failed, skipped, (ms / 1000).toFixed(1)].map(String));
  }
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of cells) {
    const [name, over, ...numbers] = row;
    const left = [name.padEnd(widths[0]), over.padEnd(widths[1])];
    console.log([...left, ...numbers.map((text, i) => text.padStart(widths[i + 2]))].join("  "));
  }
}

/** The line by which `cargo xtask` counts what was checked. */
function printSum(rows) {
  const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
  console.log(`${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
}
