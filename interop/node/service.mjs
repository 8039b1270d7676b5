// Clients of the example `service`, and of proxies before it:
//
//     node service.mjs check --url http://127.0.0.1:8080 --name ada --password secret
//     node service.mjs call  --url http://127.0.0.1:8080 --token TOKEN [--batch] [--text TEXT]
//     node service.mjs idle  --url http://127.0.0.1:8080 --token TOKEN --seconds 4
//     node service.mjs drain --url http://127.0.0.1:8080 --token TOKEN
//     node service.mjs load  --url http://127.0.0.1:8080 --token TOKEN --prefix node
//
// Each exits with 0 if it has found what it expects. `drain` prints `running` once a call is under
// way that takes a while, so that the server can be stopped. `load` makes calls while servers
// restart, over sessions of which each takes the place of the one before, until SIGTERM. Then it
// prints a line of JSON.

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { RpcSession, newHttpBatchRpcSession } from "capnweb";
import { WebSocket, WebSocketTransport } from "./harness/transport.mjs";
import { Reconnecting } from "./reconnecting.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string" },
    name: { type: "string" },
    password: { type: "string" },
    token: { type: "string" },
    text: { type: "string", default: "hello" },
    batch: { type: "boolean" },
    seconds: { type: "string", default: "4" },
    prefix: { type: "string", default: "node" },
  },
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const bearer = (token) => (token ? { authorization: `Bearer ${token}` } : {});

/** Opens a session. `closed` becomes the code with which its WebSocket closes. */
async function connect(headers) {
  const url = `${options.url.replace("http", "ws")}/api`;
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  const closed = new Promise((resolve) => socket.on("close", resolve));
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  return { api: new RpcSession(new WebSocketTransport(socket)).getRemoteMain(), closed, socket };
}

/** Signs in over HTTP, and makes calls with the cookie. */
async function check() {
  const login = (password) =>
    fetch(`${options.url}/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: options.name, password }),
    });
  assert.equal((await login("wrong")).status, 401);
  const answer = await login(options.password);
  assert.equal(answer.status, 204);
  const [set] = answer.headers.getSetCookie();
  for (const attribute of ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"]) {
    assert.ok(set.split("; ").includes(attribute), set);
  }
  const headers = { cookie: set.split(";")[0] };

  // The main object depends on who asks.
  const { api, closed } = await connect(headers);
  assert.equal(await api.name(), options.name);
  const id = await api.addNote("from Node");
  assert.deepEqual((await api.notes()).at(-1), { id, text: "from Node" });
  await api.removeNote(id);
  await assert.rejects(async () => await api.removeNote(id), /there is no such note/);

  const guest = await connect({});
  await assert.rejects(async () => await guest.api.notes(), TypeError);
  await assert.rejects(async () => await guest.api.authenticate("1234"), /token is not valid/);
  const token = headers.cookie.split("=")[1];
  const user = await guest.api.authenticate(token);
  assert.equal(await user.name(), options.name);

  await assert.rejects(connect({ authorization: "Bearer 1234" }), /401/);
  await assert.rejects(connect({ ...headers, origin: "https://evil.example" }), /403/);

  // Signing out ends all sessions of the user, and the token is no longer valid.
  const out = await fetch(`${options.url}/logout`, { method: "POST", headers });
  assert.equal(out.status, 204);
  assert.equal(await closed, 4401);
  assert.equal(await guest.closed, 4401);
  await assert.rejects(connect(headers), /401/);
}

/** Makes a call over one of the transports. */
async function call() {
  if (options.batch) {
    const request = new Request(`${options.url}/api`, { headers: bearer(options.token) });
    assert.ok((await newHttpBatchRpcSession(request).addNote(options.text)) > 0);
    return;
  }
  const { api, socket } = await connect(bearer(options.token));
  assert.ok((await api.addNote(options.text)) > 0);
  socket.close();
}

/** Does nothing for a while, and then makes a call over the same session. */
async function idle() {
  const { api, closed, socket } = await connect(bearer(options.token));
  await api.name();
  const code = await Promise.race([closed, sleep(1000 * Number(options.seconds))]);
  assert.equal(code, undefined, `the session was closed with ${code}`);
  await api.name();
  socket.close();
}

/** Sees the drain: the running call is answered, and the WebSocket closed with 1012. */
async function drain() {
  const { api, closed } = await connect(bearer(options.token));
  await api.name();
  const answer = api.addNote("at the end", 1500);
  // Once this is answered, the other call is running.
  await api.name();
  console.log("running");
  assert.ok((await answer) > 0);
  assert.equal(await closed, 1012);
}

/** Calls that are made at a time. */
const AT_ONCE = 8;

/** Makes numbered calls until SIGTERM, each until it is answered. */
async function load() {
  const counts = { acknowledged: 0, attempts: 0 };
  const url = `${options.url.replace("http", "ws")}/api`;
  const api = new Reconnecting(() => {
    counts.attempts += 1;
    return new WebSocket(url, { headers: bearer(options.token), perMessageDeflate: false });
  });
  let next = 0;
  let isStopped = false;
  process.on("SIGTERM", () => (isStopped = true));
  const worker = async () => {
    while (!isStopped) {
      next += 1;
      await api.call("addNote", `${options.prefix} ${next}`, 20);
      counts.acknowledged += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log(JSON.stringify(counts));
  process.exit(0);
}

const commands = { check, call, idle, drain, load };
await commands[positionals[0]]();
