// The requests of one Worker, which may not do each other's I/O, and a Worker as a client.
//
//     node requests.mjs --module DIR --bin ../../target/debug/capnweb-interop
//
// DIR has what wasm-bindgen made, in `bundler`. Prints how many checks passed.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { newHttpBatchRpcSession, newWebSocketRpcSession } from "../node/node_modules/capnweb/dist/index.js";
import { runChecks, startServer, startWorker } from "./harness.mjs";

const SECONDS = 60;
const { values: options } = parseArgs({ options: { module: { type: "string" }, bin: { type: "string" } } });
globalThis.WebSocket ??= WebSocket;

/** What the host says of I/O for another request. */
const FOREIGN = /on behalf of a different request/;

const worker = await startWorker(options.module);
const web = () => newWebSocketRpcSession(`ws://${worker.addr}/plain`);
const batch = () => newHttpBatchRpcSession(`http://${worker.addr}/plain`);

/** Calls in both directions, some of which wait for a timer. */
async function useSession(api, ms) {
  const seen = [];
  const [slept, called] = await Promise.all([
    api.sleep(ms),
    api.callFunction((i) => (seen.push(i), i * 2), 21),
    api.subscribe((i) => pause(ms / 4).then(() => seen.push(i)), 3),
  ]);
  assert.equal(slept, ms);
  assert.deepEqual(called, { result: 42 });
  assert.deepEqual(seen.toSorted((a, b) => a - b), [0, 1, 2, 21]);
}

async function useBatch(ms) {
  const api = batch();
  assert.deepEqual(await Promise.all([api.sleep(ms), api.square(api.next(ms))]), [ms, (ms + 1) ** 2]);
}

/** Calls a Worker that calls `url`. */
async function calling(url) {
  const response = await fetch(`http://${worker.addr}/plain/calling?${url}`);
  return response.text();
}

const checks = {
  "sessions and batches at the same time": async (keep) => {
    const sessions = Array.from({ length: 16 }, () => keep(web()));
    for (let round = 1; round <= 3; round += 1) {
      await Promise.all([
        ...sessions.map((api, i) => useSession(api, round * (10 + i))),
        ...sessions.map((_, i) => useBatch(round * (10 + i))),
      ]);
      // The others go on.
      for (const api of sessions.splice(0, 4)) api[Symbol.dispose]();
    }
    assert.doesNotMatch(worker.errors(), FOREIGN);
  },

  "a stub of another request's session": async (keep) => {
    const owner = keep(web());
    await owner.probe.share("callback", () => assert.fail("it was called"));
    const other = keep(web());
    const stub = keep(await other.probe.shared("callback"));
    await assert.rejects(async () => stub(1), /another request/);
    // Only that call has failed.
    assert.equal(await other.square(3), 9);
    assert.equal(await owner.square(4), 16);
    await useSession(keep(web()), 20);
    await useBatch(20);
  },

  "calls that run on after a batch": async () => {
    const api = batch();
    // Nobody awaits the first call, so the answer does not wait for it.
    api.probe.noteAfter("after", 300, "done");
    assert.equal(await api.square(3), 9);
    const notes = [];
    while (!notes.includes("done ended")) {
      await pause(50);
      notes.push(...(await batch().probe.notes("after")));
    }
  },

  "a Worker is a client of a native server": async () => {
    const server = await startServer(options.bin, "serve", "--listen", "127.0.0.1:0");
    try {
      assert.equal(await calling(`ws://${server.addr}/`), "5");
      assert.equal(await calling(`http://${server.addr}/`), "5");
    } finally {
      await server.stop();
    }
    assert.match(await calling(`ws://${server.addr}/`), /connection failed|lost|refused/i);
    assert.match(await calling(`http://${server.addr}/`), /request failed|lost|refused/i);
  },

  "a Worker is a client of another Worker": async () => {
    const server = await startWorker(options.module);
    try {
      for (const path of ["", "plain"]) {
        assert.equal(await calling(`ws://${server.addr}/${path}`), "5");
        assert.equal(await calling(`http://${server.addr}/${path}`), "5");
      }
    } finally {
      await server.stop();
    }
  },
};

await runChecks("requests", SECONDS, checks, () => worker.stop());
