// The life and end of connections, with processes that are stopped and told to stop:
//
//     node lifetime.mjs --bin ../../target/debug/capnweb-interop [--only TEXT]
//
// One line of JSON a check; exits with 1 if any failed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { RpcSession } from "capnweb";
import { ClientMain } from "./harness/client-main.mjs";
import { WebSocket, WebSocketTransport } from "./harness/transport.mjs";

const SECONDS = 20;

const { values: options } = parseArgs({ options: { bin: { type: "string" }, only: { type: "string" } } });
if (!options.bin) {
  console.error("lifetime.mjs: --bin must name the capnweb-interop program");
  process.exit(2);
}

const PINGS = ["--ping-interval", "50", "--ping-timeout", "200"];
const LISTEN = ["--listen", "127.0.0.1:0"];
const here = (file) => fileURLToPath(new URL(file, import.meta.url));

/** A process whose lines of JSON are read one by one. */
class Process {
  static #all = [];
  #lines;
  #errors = "";

  constructor(command, ...args) {
    this.child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stderr.on("data", (text) => (this.#errors += text));
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.exited = once(this.child, "close").then(([code, signal]) => signal ?? code);
    Process.#all.push(this);
  }

  static rust(...args) {
    return new Process(options.bin, ...args);
  }

  static node(file, ...args) {
    return new Process(process.execPath, here(file), ...args);
  }

  async line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the process ended: ${this.#errors}`);
    return JSON.parse(value);
  }

  /** Kills what is left, also what was stopped. */
  static async killAll() {
    const all = Process.#all.splice(0);
    for (const { child } of all) child.kill("SIGKILL");
    await Promise.all(all.map(({ exited }) => exited));
  }
}

async function serve(process) {
  const { addr } = await process.line();
  return addr;
}

function connect(addr) {
  const socket = new WebSocket(`ws://${addr}/`, { perMessageDeflate: false });
  const api = new RpcSession(new WebSocketTransport(socket), new ClientMain()).getRemoteMain();
  const closed = once(socket, "close").then(([code, reason]) => ({ code, reason: reason.toString() }));
  return { socket, api, closed };
}

const checks = {
  "an idle client of the reference answers pings and stays": async () => {
    const addr = await serve(Process.rust("serve", ...LISTEN, ...PINGS));
    const { socket, api } = connect(addr);
    assert.equal(await api.square(3), 9);
    let pings = 0;
    socket.on("ping", () => (pings += 1));
    await pause(1000);
    assert.equal(await api.square(4), 16);
    // Twenty intervals, each a little late.
    assert.ok(pings >= 5 && pings <= 20, `${pings} pings`);
    assert.deepEqual(await api.probe.stats(), { imports: 1, exports: 2 });
    socket.terminate();
  },

  "an idle session of ours with a server of the reference stays": async () => {
    const addr = await serve(Process.node("server.mjs", ...LISTEN));
    const client = Process.rust("watch", "--url", `ws://${addr}/`, ...PINGS);
    await client.line();
    const end = client.line();
    assert.equal(await Promise.race([end, pause(1000, "still there")]), "still there");
    // It learns of the end all the same.
    client.child.kill();
    await assert.rejects(end, /the process ended/);
  },

  "a client that is stopped is dropped, with what it holds": async () => {
    const addr = await serve(Process.rust("serve", ...LISTEN, ...PINGS));
    const { socket, api } = connect(addr);
    const before = (await api.probe.live()).counters;
    const holder = Process.node("hold.mjs", "--url", `ws://${addr}/`);
    assert.deepEqual(await holder.line(), { value: 1 });
    assert.equal((await api.probe.live()).counters, before + 1);
    await pause(500);
    assert.equal((await api.probe.live()).counters, before + 1, "an idle client holds it");
    holder.child.kill("SIGSTOP");
    while ((await api.probe.live()).counters > before) await pause(20);
    socket.terminate();
  },

  "a server that is stopped fails the calls of our client": async () => {
    const server = Process.node("server.mjs", ...LISTEN);
    const client = Process.rust("watch", "--url", `ws://${await serve(server)}/`, ...PINGS);
    await client.line();
    server.child.kill("SIGSTOP");
    assert.deepEqual(await client.line(), {
      silence: true,
      disconnected: true,
      message: "the peer has sent nothing for 250ms, not even an answer to a ping",
    });
    assert.equal(await client.exited, 0);
  },

  "a server that is told to stop answers, closes with 1012, and exits with 0": async () => {
    const server = Process.rust("serve", ...LISTEN);
    const addr = await serve(server);
    const busy = connect(addr);
    const idle = connect(addr);
    await Promise.all([busy.api.ping(), idle.api.ping()]);
    // Nothing waits for a call that is not awaited.
    const call = busy.api.sleep(1000).then((ms) => ms);
    const batch = fetch(`http://${addr}/`, { method: "POST", body: '["push",["pipeline",0,["sleep"],[500]]]\n["pull",1]' });
    await busy.api.ping();
    await pause(100);
    server.child.kill("SIGTERM");
    const restart = { code: 1012, reason: "the server is restarting" };
    assert.deepEqual(await idle.closed, restart);
    assert.equal(busy.socket.readyState, WebSocket.OPEN);
    assert.match(await (await batch).text(), /^\["resolve",1,/);
    assert.equal(await call, 1000);
    assert.deepEqual(await busy.closed, restart);
    assert.equal(await server.exited, 0);
    await assert.rejects(fetch(`http://${addr}/`, { method: "POST", body: "" }));
  },
};

process.on("unhandledRejection", () => {});
let failed = 0;
for (const [title, run] of Object.entries(checks)) {
  const name = `lifetime: ${title}`;
  if (options.only && !name.includes(options.only)) continue;
  const began = performance.now();
  const late = new AbortController();
  const report = { check: name, over: "ws", ok: true };
  try {
    const tooLate = pause(SECONDS * 1000, undefined, { signal: late.signal }).then(() => {
      throw new Error(`took longer than ${SECONDS} s`);
    });
    tooLate.catch(() => {});
    await Promise.race([run(), tooLate]);
  } catch (error) {
    failed += 1;
    Object.assign(report, { ok: false, detail: error?.stack ?? String(error) });
  } finally {
    late.abort();
    await Process.killAll();
  }
  console.log(JSON.stringify({ ...report, ms: Math.round(performance.now() - began) }));
}
process.exit(failed > 0 ? 1 : 0);
