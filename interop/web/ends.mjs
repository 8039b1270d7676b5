// What a peer sees when a program in WebAssembly ends badly: a page that is closed, a handler that panics, a process or
// Worker that is gone.
//
//     node ends.mjs --module DIR
//
// DIR has what wasm-bindgen made, in `web` and `bundler`. Prints how many checks passed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { WebSocket, WebSocketServer } from "ws";
import { newHttpBatchRpcSession, newWebSocketRpcSession } from "../node/node_modules/capnweb/dist/index.js";
import { runChecks, startWorker } from "./harness.mjs";
import { openPage } from "./page.mjs";

const SECONDS = 30;
const { values: options } = parseArgs({ options: { module: { type: "string" } } });
const here = (file) => fileURLToPath(new URL(file, import.meta.url));
globalThis.WebSocket ??= WebSocket;

/** A server without any library, of one connection. */
async function rawServer(use) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const connected = once(server, "connection").then(([socket]) => socket);
  try {
    return await use(`ws://127.0.0.1:${server.address().port}/`, connected);
  } finally {
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
}

const closed = async (socket) => {
  const [code, reason] = await once(socket, "close");
  return { code, reason: String(reason) };
};

const messages = (method) => [JSON.stringify(["push", ["pipeline", 0, [method], []]]), '["pull",1]'];

const call = (socket, method) => messages(method).forEach((message) => socket.send(message));

/** The status of the answer to a batch. */
const statusOf = async (url, method) => (await fetch(url, { method: "POST", body: messages(method).join("\n") })).status;

/** A page that is connected to a server without any library. */
const inPage = (use) =>
  rawServer(async (url, connected) => {
    const page = await openPage(resolve(options.module, "web"));
    try {
      await page.evaluate((url) => globalThis.program.connect_and_panic(url), url);
      await use(page, await connected);
    } finally {
      await page.context().browser().close();
    }
  });

/** A Worker in a process of its own. */
async function inWorker(use) {
  const worker = await startWorker(options.module);
  try {
    return await use(worker.addr, worker.child);
  } finally {
    await worker.stop();
  }
}

const checks = {
  "a page that is closed": () =>
    inPage(async (page, socket) => {
      const end = closed(socket);
      await page.close();
      assert.deepEqual(await end, { code: 1001, reason: "" });
    }),

  "a handler of a page that panics": () =>
    inPage(async (page, socket) => {
      const end = closed(socket);
      call(socket, "panic");
      assert.deepEqual(await end, { code: 3000, reason: "the program panicked" });
    }),

  "a handler of a page that runs out of memory": () =>
    inPage(async (page, socket) => {
      const end = closed(socket);
      call(socket, "exhaust");
      assert.deepEqual(await end, { code: 3000, reason: "the program trapped" });
    }),

  "a process that is killed": () =>
    rawServer(async (url, connected) => {
      const program = `
        import { readFile } from "node:fs/promises";
        import { WebSocket } from "ws";
        globalThis.WebSocket ??= WebSocket;
        const program = await import(process.argv[1] + "/capnweb_interop_web.js");
        await program.default({ module_or_path: await readFile(process.argv[1] + "/capnweb_interop_web_bg.wasm") });
        await program.connect_and_panic(process.argv[2]);`;
      const words = ["--input-type=module", "--eval", program, resolve(options.module, "web"), url];
      const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "inherit"], cwd: here(".") });
      const end = closed(await connected);
      child.kill("SIGKILL");
      assert.equal((await end).code, 1006);
    }),

  "a request of a Worker that panics": () =>
    inWorker(async (addr) => {
      await assert.rejects(async () => newHttpBatchRpcSession(`http://${addr}/panicking`).panic());
      assert.equal(await statusOf(`http://${addr}/panicking`, "panic"), 500);
      // The next request is answered.
      assert.equal(await newHttpBatchRpcSession(`http://${addr}/panicking`).add(2, 3), 5);
    }),

  "a session of a Worker whose handler panics": () =>
    inWorker(async (addr) => {
      const api = newWebSocketRpcSession(`ws://${addr}/panicking`);
      const broken = new Promise((resolve) => api.onRpcBroken(resolve));
      assert.equal(await api.add(2, 3), 5);
      await assert.rejects(async () => api.panic());
      assert.ok((await broken) instanceof Error);
    }),

  "a session of a Worker whose handler runs out of memory": () =>
    inWorker(async (addr) => {
      const api = newWebSocketRpcSession(`ws://${addr}/panicking`);
      const broken = new Promise((resolve) => api.onRpcBroken(resolve));
      assert.equal(await api.add(2, 3), 5);
      await assert.rejects(async () => api.exhaust());
      assert.ok((await broken) instanceof Error);
    }),

  "a request of a Worker that runs out of memory": () =>
    inWorker(async (addr) => {
      await assert.rejects(async () => newHttpBatchRpcSession(`http://${addr}/panicking`).exhaust());
      assert.equal(await statusOf(`http://${addr}/panicking`, "exhaust"), 500);
    }),

  "a Worker that is gone": () =>
    inWorker(async (addr, child) => {
      const api = newWebSocketRpcSession(`ws://${addr}/panicking`);
      const broken = new Promise((resolve) => api.onRpcBroken(resolve));
      assert.equal(await api.add(2, 3), 5);
      const waiting = assert.rejects(async () => api.wait());
      child.kill("SIGTERM");
      await waiting;
      assert.ok((await broken) instanceof Error);
    }),

  "a Worker that refuses": () =>
    inWorker(async (addr) => {
      const response = await fetch(`http://${addr}/refusing`, { method: "POST", body: "" });
      assert.equal(response.status, 403);
      assert.equal(await response.text(), "not for you");
      const socket = new WebSocket(`ws://${addr}/refusing`);
      socket.onerror = () => {};
      const [, refused] = await once(socket, "unexpected-response");
      assert.equal(refused.statusCode, 403);
      socket.terminate();
    }),
};

await runChecks("ends", SECONDS, checks);
