// The example `worker-counter` in Cloudflare's own runtime, used by npm `capnweb`, from a page, and from
// the command line:
//
//     node counter.mjs --module DIR --bin ../../target/debug/capnweb
//
// DIR is what wasm-bindgen made of it for bundlers, and the program is the command `capnweb`. Prints how many checks passed.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { parseArgs, promisify } from "node:util";
import { WebSocket } from "ws";
import { startCounter } from "./counter-worker.mjs";
import { runChecks } from "./harness.mjs";
import { openEmptyPage } from "./page.mjs";
import { newHttpBatchRpcSession, newWebSocketRpcSession } from "../node/node_modules/capnweb/dist/index.js";

const SECONDS = 20;
const { values: options } = parseArgs({ options: { module: { type: "string" }, bin: { type: "string" } } });
globalThis.WebSocket ??= WebSocket;

const miniflare = await startCounter(options.module);
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

  "the command line calls it and listens": async () => {
    const run = promisify(execFile);
    for (const scheme of ["http", "ws"]) {
      const { stdout } = await run(options.bin, ["call", `${scheme}://${host}/g`, "increment(2)"]);
      assert.equal(stdout.trim(), scheme === "http" ? "2" : "4");
    }
    const listening = spawn(options.bin, ["listen", `ws://${host}/g`, "watch($cb)"], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const lines = once(createInterface({ input: listening.stdout }), "line");
      let line;
      lines.then(([first]) => (line = first));
      // It may not be watching yet.
      while (line === undefined) {
        await batch("g").increment(1);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.match(line, /\d/);
    } finally {
      listening.kill();
    }
  },

  "a page uses it": async () => {
    const page = await openEmptyPage();
    try {
      const source = await readFile(new URL("../node/node_modules/capnweb/dist/index.js", import.meta.url), "utf8");
      const values = await page.evaluate(
        async ([source, url]) => {
          const npm = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
          const api = npm.newWebSocketRpcSession(url);
          const seen = [];
          const watching = await api.watch((value) => void seen.push(value));
          await api.increment(3);
          const value = await api.increment(4);
          watching[Symbol.dispose]();
          api[Symbol.dispose]();
          return { value, seen };
        },
        [source, `ws://${host}/h`],
      );
      assert.equal(values.value, 7);
      assert.ok(values.seen.includes(3));
    } finally {
      await page.context().browser().close();
    }
  },

  "anything but a POST or an upgrade is refused": async () => {
    const response = await fetch(`http://${host}/f`);
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, POST");
    assert.match(await response.text(), /WebSockets only/);
  },
};

await runChecks("worker-counter", SECONDS, checks, () => miniflare.dispose());
