// The command `capnweb` against a server of the reference:
//
//     node cli.mjs --bin ../../target/debug/capnweb [--server '["deno","run","--allow-all","server.mjs"]'] [--name Deno]
//
// Starts `server.mjs` in Node or another runtime, runs the command over WebSocket and batch, then once more through
// `capnweb inspect`, whose recording has to be clean, and prints how many checks passed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const SECONDS = 10;

const { values: options } = parseArgs({
  options: { bin: { type: "string" }, server: { type: "string" }, name: { type: "string", default: "Node" } },
});
if (!options.bin) {
  console.error("usage: node cli.mjs --bin PATH, with the path of `capnweb`");
  process.exit(2);
}

const [program, ...args] = options.server
  ? JSON.parse(options.server)
  : [process.execPath, fileURLToPath(new URL("server.mjs", import.meta.url))];
const server = spawn(program, [...args, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
const [line] = await once(createInterface({ input: server.stdout }), "line", {
  signal: AbortSignal.timeout(6 * SECONDS * 1000),
});
const { addr } = JSON.parse(line);

/** Runs the command, and returns its exit code and what it wrote. */
async function capnweb(...args) {
  const child = spawn(options.bin, args, {
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.timeout(SECONDS * 1000),
    killSignal: "SIGKILL",
  });
  const written = { out: "", err: "" };
  child.stdout.on("data", (text) => (written.out += text));
  child.stderr.on("data", (text) => (written.err += text));
  const [code] = await once(child, "close");
  return { code, ...written };
}

/** Evaluates an expression whose result has to be this, as JSON. */
async function evaluates(url, expression, expected, roundTrips = 1) {
  const { code, out, err } = await capnweb("call", url, expression, "--json", "--stats");
  assert.equal(code, 0, err);
  assert.deepEqual(JSON.parse(out), expected);
  assert.equal(JSON.parse(err).stats.roundTrips, roundTrips, expression);
}

const checks = {
  "calls, properties and pipelining are one round trip": (url) =>
    evaluates(url, "[add(square(2), 1), version, makeCounter(3).increment(4), self().add(1, 2)]", [5, "1.0", 7, 3]),
  "a map is applied by the server": (url) =>
    evaluates(url, "list(4).map(n => [n, add(n, 10), { twice: add(n, n) }])", [
      [0, 10, { twice: 0 }],
      [1, 11, { twice: 2 }],
      [2, 12, { twice: 4 }],
      [3, 13, { twice: 6 }],
    ]),
  "maps are nested": (url) => evaluates(url, "list(3).map(n => list(n).map(m => add(n, m)))", [[], [1], [2, 3]]),
  "values that JSON lacks keep their kind": (url) =>
    evaluates(url, "echo([12345678901234567890n, new Date('2026-01-31'), new Uint8Array([104, 105]), undefined, NaN])", [
      { $bigint: "12345678901234567890" },
      { $date: "2026-01-31T00:00:00.000Z" },
      { $bytes: "aGk=" },
      { $undefined: true },
      { $number: "NaN" },
    ]),
  "an error is 1": async (url) => {
    const { code, err } = await capnweb("call", url, "fail('too far')");
    assert.equal(code, 1);
    assert.match(err, /^error: RangeError: too far\n/);
  },
  "a name that does not exist is 1": async (url) => {
    const { code, err } = await capnweb("call", url, "nope()");
    assert.equal(code, 1);
    assert.match(err, /'nope' is not a function/);
  },
  "a description is missed": async (url) => {
    const { code, err } = await capnweb("describe", url);
    assert.equal(code, 1);
    assert.match(err, /does not describe itself/);
  },
};

/** What takes a session. */
const sessionChecks = {
  "the server calls a function of the expression": (url) =>
    evaluates(url, "callBack(x => [x, 'back'], 7)", { got: [7, "back"] }),
  "a callback prints": async (url) => {
    const { code, out } = await capnweb("call", url, "subscribe(n => console.log(n), 3)");
    assert.equal(code, 0);
    assert.equal(out, "0\n1\n2\nundefined\n");
  },
  "listening prints a line a call, and ends with the callback": async (url) => {
    const { code, out, err } = await capnweb("listen", url, "subscribe($cb, 3)");
    assert.equal(code, 0, err);
    assert.equal(out, "0\n1\n2\n");
  },
  "a stream is printed": async (url) => {
    const { code, out, err } = await capnweb("call", url, "getStream()", "--raw");
    assert.equal(code, 0, err);
    assert.equal(out, "hi\n");
  },
  "awaiting takes another round trip": (url) => evaluates(url, "let n = await square(3); add(n, 1)", 10, 2),
  "an expression is measured": async (url) => {
    const { code, out, err } = await capnweb("bench", url, "square(3)", "-c", "4", "-n", "100", "--json");
    assert.equal(code, 0, err);
    assert.equal(JSON.parse(out).calls, 100);
  },
};

let passed = 0;
let failed = 0;
async function run(title, check) {
  try {
    await check();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.log(`FAILED against ${options.name}, ${title}\n${error?.stack ?? error}`);
  }
}

async function runAll(address, how) {
  for (const [over, of] of [
    ["ws", { ...checks, ...sessionChecks }],
    ["http", checks],
  ]) {
    for (const [title, check] of Object.entries(of)) await run(`over ${over}${how}: ${title}`, () => check(`${over}://${address}/`));
  }
}

await runAll(addr, "");

const folder = mkdtempSync(join(tmpdir(), "capnweb-cli-"));
const recording = join(folder, "recording.jsonl");
const inspector = spawn(
  options.bin,
  ["inspect", "--listen", "127.0.0.1:0", "--to", `ws://${addr}/`, "--record", recording, "--quiet"],
  { stdio: ["ignore", "ignore", "pipe"] },
);
const [listening] = await once(createInterface({ input: inspector.stderr }), "line", {
  signal: AbortSignal.timeout(SECONDS * 1000),
});
await runAll(/ws:\/\/([^/]+)/.exec(listening)[1], ", inspected");
inspector.kill("SIGINT");
await once(inspector, "exit");
await run("the recording makes sense", async () => {
  const { code, out, err } = await capnweb("inspect", recording, "--json");
  assert.equal(code, 0, err);
  const sessions = JSON.parse(out);
  assert.ok(sessions.length > 15, `${sessions.length} sessions`);
  // In workerd, the reference answers the client's close by an abort that repeats it.
  const isEcho = (aborted) => /^the server aborted: Error: Peer closed WebSocket: 3000 RPC session was shut down/.test(aborted);
  const wrong = sessions.flatMap(({ id, faults, aborted }) =>
    [...faults, ...(aborted && !isEcho(aborted) ? [aborted] : [])].map((fault) => [id, fault]),
  );
  assert.deepEqual(wrong, []);
});
await run("sessions of the command leak nothing", async () => {
  const { code, out } = await capnweb("inspect", recording, "--leaks");
  assert.equal(out, "");
  assert.equal(code, 0);
});
await run("the recording is replayed", async () => {
  const { code, out, err } = await capnweb("replay", recording, "--to", `ws://${addr}/`);
  assert.equal(code, 0, out + err);
});
rmSync(folder, { recursive: true });
server.kill();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
