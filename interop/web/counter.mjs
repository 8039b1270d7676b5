// The example `worker-counter` in Cloudflare's own runtime, used by npm `capnweb` and by the Worker's own client:
//
//     node counter.mjs --module DIR
//
// DIR is what wasm-bindgen made of it for bundlers. Prints how many checks passed.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Miniflare } from "miniflare";
import { WebSocket } from "ws";
import { newHttpBatchRpcSession, newWebSocketRpcSession } from "../node/node_modules/capnweb/dist/index.js";

const SECONDS = 20;
const { values: options } = parseArgs({ options: { module: { type: "string" } } });
const read = (file) => readFile(resolve(options.module, file));
globalThis.WebSocket ??= WebSocket;

const ENTRY = `
import * as bindings from "./worker_counter_bg.js";
import wasm from "./worker_counter_bg.wasm";

const instance = new WebAssembly.Instance(wasm, { "./worker_counter_bg.js": bindings });
bindings.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start?.();

export const CounterObject = bindings.CounterObject;
export default { fetch: (request, env, context) => bindings.fetch(request, env, context) };
`;

/** The modules in JavaScript that crates bring along. */
async function snippets() {
  const names = await readdir(resolve(options.module), { recursive: true });
  const wanted = names.filter((name) => name.startsWith("snippets/") && name.endsWith(".js"));
  return Promise.all(wanted.map(async (path) => ({ type: "ESModule", path, contents: await read(path) })));
}

const miniflare = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  compatibilityDate: "2026-04-01",
  durableObjects: { COUNTERS: "CounterObject" },
  modules: [
    { type: "ESModule", path: "entry.js", contents: ENTRY },
    { type: "ESModule", path: "worker_counter_bg.js", contents: await read("worker_counter_bg.js") },
    ...(await snippets()),
    { type: "CompiledWasm", path: "worker_counter_bg.wasm", contents: await read("worker_counter_bg.wasm") },
  ],
});
const { host } = await miniflare.ready;
const web = (name) => newWebSocketRpcSession(`ws://${host}/${name}`);
const batch = (name) => newHttpBatchRpcSession(`http://${host}/${name}`);

const checks = {
  "a counter counts over WebSocket and batch": async (keep) => {
    assert.equal(await batch("a").increment(2), 2);
    const api = keep(web("a"));
    assert.equal(await api.increment(3), 5);
    assert.equal(await batch("a").value(), 5);
  },

  "names are apart": async () => {
    assert.equal(await batch("b").increment(1), 1);
    assert.equal(await batch("c").value(), 0);
  },

  "one client's call reaches another client's callback": async (keep) => {
    const watcher = keep(web("d"));
    let see;
    const seen = new Promise((resolve) => (see = resolve));
    keep(await watcher.watch(see));
    const other = keep(web("d"));
    assert.equal(await other.increment(7), 7);
    assert.equal(await seen, 7);
  },

  "a client that is gone is not called": async () => {
    const watcher = web("e");
    await watcher.watch(() => assert.fail("the callback was released"));
    watcher[Symbol.dispose]();
    assert.equal(await batch("e").increment(1), 1);
    assert.equal(await batch("e").increment(1), 2);
  },

  "anything but a POST or an upgrade is refused": async () => {
    const response = await fetch(`http://${host}/f`);
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, POST");
    assert.match(await response.text(), /WebSockets only/);
  },
};

const tally = { passed: 0, failed: 0 };
for (const [name, check] of Object.entries(checks)) {
  const kept = [];
  const keep = (stub) => (kept.push(stub), stub);
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`took over ${SECONDS} s`)), SECONDS * 1000)));
  try {
    await Promise.race([check(keep), late]);
    tally.passed += 1;
  } catch (error) {
    tally.failed += 1;
    console.error(`FAILED  worker-counter: ${name}\n${error.stack}`);
  } finally {
    clearTimeout(timer);
    for (const stub of kept.reverse()) stub[Symbol.dispose]();
  }
}
await miniflare.dispose();
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed > 0 ? 1 : 0);
