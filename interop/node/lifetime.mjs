// The life and end of connections, with processes that are stopped and told to stop:
//
//     node lifetime.mjs --bin ../../target/debug/capnweb-interop [--only TEXT]
//
// One line of JSON a check; exits with 1 if any failed.

import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { RpcSession } from "capnweb";
import { ClientMain } from "./harness/client-main.mjs";
import { Process, runPrograms } from "./harness/processes.mjs";
import { WebSocket, WebSocketTransport } from "./harness/transport.mjs";

const PINGS = ["--ping-interval", "50", "--ping-timeout", "200"];
const LISTEN = ["--listen", "127.0.0.1:0"];

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

  "a drain that a server announces is nothing to a client of the reference": async () => {
    const { socket, api } = connect(await serve(Process.rust("serve", ...LISTEN)));
    const before = await api.probe.stats();
    const unhandled = [];
    const note = (error) => unhandled.push(error.message);
    process.on("unhandledRejection", note);
    const slow = api.sleep(200).then((ms) => ms);
    for (const ms of [30000, 0]) await api.probe.announceDrain(ms);
    assert.equal(await api.square(3), 9);
    assert.equal(await slow, 200);
    assert.deepEqual(await api.probe.stats(), before);
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
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

await runPrograms("lifetime", checks);
