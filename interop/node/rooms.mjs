// The example `rooms`, as people would use it: three nodes behind HAProxy, a page in Chromium, and clients that post
// while a node is killed and another one stops.
//
//     node rooms.mjs --bin target/debug/rooms --interop target/debug/capnweb-interop [--browser /usr/bin/chromium]
//
// Prints what was measured. Without `nats-server` and `haproxy`, it checks a single node alone.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { RpcSession } from "capnweb";
import { launch } from "../browser/launch.mjs";
import { WebSocket, WebSocketTransport } from "./harness/transport.mjs";

const { values: options } = parseArgs({
  options: {
    bin: { type: "string" },
    interop: { type: "string" },
    browser: { type: "string", default: "/usr/bin/chromium" },
  },
});

/** The most that anything may take. */
const LIMIT = 60_000;
/** A node that was killed holds its rooms for this long. */
const LEASE = 2000;
/** What a planned move should take at most on a machine that does nothing else. */
const GOAL = 300;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what, isSo) {
  for (const end = Date.now() + LIMIT; !(await isSo()); await sleep(20)) {
    assert.ok(Date.now() < end, `waited in vain until ${what}`);
  }
}

const started = [];
/** The end of what the programs print as errors, for a failure. */
let errors = "";

/** Starts a program with a group of its own, and returns it with its lines. */
function start(command, args, env = process.env) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, env });
  child.stderr.on("data", (text) => (errors = (errors + text).slice(-20_000)));
  started.push(child);
  const lines = [];
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => lines.push(line));
  const closed = once(reader, "close");
  return { child, lines, closed };
}

/** Waits for a line of a program that matches. */
async function line({ lines, closed }, pattern) {
  let isClosed = false;
  closed.then(() => (isClosed = true));
  const find = () => lines.find((line) => pattern.test(line));
  await until(`a program prints ${pattern}`, () => find() ?? isClosed);
  assert.ok(find(), `a program has ended without ${pattern}`);
  return find();
}

/** Kills what is left of a program's group. Returns whether anything was. */
function killGroup({ pid }) {
  try {
    return process.kill(-pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** Ends a program as a service manager does. Nothing of it may be left. */
async function stop({ child }) {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
  assert.ok(!existsSync(join(tmpdir(), `rooms-${child.pid}`)), "the folder is still there");
  await until("all processes have ended", () => !isRunning(child.pid));
}

/** Returns whether a process of a group runs. */
function isRunning(group) {
  return readdirSync("/proc").some((id) => {
    try {
      // The name is in parentheses, and may contain anything.
      const [state, , pgrp] = readFileSync(`/proc/${id}/stat`, "utf8").split(") ").at(-1).split(" ");
      return Number(pgrp) === group && state !== "Z";
    } catch {
      return false;
    }
  });
}

/** Starts the example. Returns it and its address. */
async function rooms(env) {
  const program = start(options.bin, ["127.0.0.1:0"], env);
  return { ...program, url: await line(program, /^http:/) };
}

/** The line in which the example says that a program is missing. */
const MISSING = /is not there/;

/** A client that posts again what was not answered, in one session after another. */
class Client {
  acknowledged = 0;
  longest = 0;
  /** Errors in sessions that went on. */
  errors = [];
  /** The sessions so far. */
  sessions = [];

  constructor(url, name) {
    this.url = `${url.replace("http", "ws")}api`;
    this.name = name;
  }

  #session() {
    let session = this.sessions.at(-1);
    if (!session || session.isOver) {
      session = { isOver: false };
      const socket = new WebSocket(this.url, { perMessageDeflate: false });
      session.front = new RpcSession(new WebSocketTransport(socket)).getRemoteMain();
      session.front.onRpcBroken(() => (session.isOver = true));
      socket.on("close", () => (session.isOver = true));
      session.room = session.front.room("lobby");
      this.sessions.push(session);
    }
    return session;
  }

  async call(make) {
    for (const end = Date.now() + LIMIT; ; ) {
      const session = this.#session();
      const begun = performance.now();
      try {
        const result = await make(session);
        this.longest = Math.max(this.longest, performance.now() - begun);
        return result;
      } catch (error) {
        assert.ok(Date.now() < end, error);
        // The server is stopping, or gone.
        if (error.message === "the server is restarting") session.isOver = true;
        await sleep(20);
        if (!session.isOver) this.errors.push(error);
      }
    }
  }

  async run() {
    while (!this.isStopped) {
      const number = this.acknowledged + 1;
      await this.call(({ room }) => room.post(this.name, number, `message ${number}`));
      this.acknowledged = number;
      await sleep(2);
    }
  }

  stop() {
    this.isStopped = true;
    return this.running;
  }
}

/** Checks that the log has each client's messages once and in order, and no others. */
async function checkLog(client, counts) {
  const messages = await client.call(({ room }) => room.messages(0));
  messages.forEach(({ position }, at) => assert.equal(position, at + 1));
  for (const [name, count] of Object.entries(counts)) {
    const numbers = messages.filter(({ sender }) => sender === name).map(({ number }) => number);
    assert.deepEqual(numbers, Array.from({ length: count }, (_, at) => at + 1), `the messages of ${name}`);
  }
  return messages;
}

async function threeNodes(program) {
  const { url } = program;
  const browser = await launch(options.browser);
  try {
    const page = await browser.newPage();
    const pageErrors = [];
    page.on("pageerror", (error) => pageErrors.push(error));
    await page.goto(url);
    const clients = ["Ada", "Eve", "Bob"].map((name) => new Client(url, name));
    for (const client of clients) client.running = client.run();
    const rust = start(options.interop, ["rooms", "--url", `${url.replace("http", "ws")}api`, "--sender", "rust"]);
    // The page shows all rooms, each on a node.
    const shows = (condition, argument) => page.waitForFunction(condition, argument, { timeout: LIMIT });
    await shows(() => document.querySelectorAll("section[data-node] article:not(.moving)").length === 6);
    const names = await page.$$eval("section", (nodes) => nodes.map(({ dataset }) => dataset.node));
    assert.deepEqual(names, ["a", "b", "c"]);
    await page.fill('[data-room="garden"] input', "hello from the page");
    await page.press('[data-room="garden"] input', "Enter");
    await shows(() => document.querySelector('[data-room="garden"] ol').textContent.includes("hello from the page"));

    const watcher = new Client(url, "watcher");
    const place = () => watcher.call(({ room }) => room.place());
    const advance = async () => {
      const counts = clients.map(({ acknowledged }) => acknowledged);
      await until("all clients have posted more", () => clients.every((client, at) => client.acknowledged > counts[at] + 20));
    };
    const press = (node, name) => page.click(`section[data-node="${node}"] button:text("${name}")`);
    const reset = () => {
      for (const client of clients) Object.assign(client, { longest: 0, before: client.sessions.length });
    };
    await advance();

    // Killed: the room lives on when the lease is over.
    reset();
    let before = await place();
    let begun = performance.now();
    await press(before.node, "kill -9");
    let after;
    // Perhaps on the same node, which has come back.
    await until("the lobby lives again", async () => (after = await place()).epoch > before.epoch);
    const failover = performance.now() - begun;
    await advance();
    await shows((node) => !document.querySelector(`section[data-node="${node}"]`).matches(".down"), before.node);

    // Stopped in order: the room moves before the sessions end.
    reset();
    before = await place();
    await press(before.node, "stop");
    await until("the lobby lives elsewhere", async () => (after = await place()).node !== before.node);
    await advance();
    const ended = `node ${before.node} has ended: exit status: 0`;
    await until("the node has ended", () => program.lines.includes(ended));
    // Those that were on another node have noticed nothing.
    const kept = clients.filter((client) => client.sessions.length === client.before);
    const moved = Math.max(...kept.map(({ longest }) => longest));
    await shows((node) => document.querySelector(`section[data-node="${node}"]`).matches(".down"), before.node);
    await shows(() => document.querySelectorAll("section:not(.down)").length === 3);

    await Promise.all(clients.map((client) => client.stop()));
    rust.child.kill("SIGTERM");
    const outcome = JSON.parse(await line(rust, /^\{/));
    const counts = Object.fromEntries(clients.map(({ name, acknowledged }) => [name, acknowledged]));
    counts.rust = outcome.acknowledged;
    const log = await checkLog(watcher, counts);
    // The page shows the end of the log.
    await shows((text) => document.querySelector('[data-room="lobby"] ol').lastChild.textContent === text, `${log.at(-1).sender}: ${log.at(-1).text}`);
    await shows(() => /^guest \d+: hello from the page$/.test(document.querySelector('[data-room="garden"] ol').textContent));
    for (const client of [...clients, watcher]) assert.deepEqual(client.errors, [], client.name);
    assert.deepEqual(outcome.errors, []);
    assert.deepEqual(pageErrors, []);
    assert.ok(failover > LEASE / 2, `the lobby lived on after ${failover} ms, before the lease was over`);
    console.log(
      `${log.length} messages, each once and in order; killed: ${failover.toFixed(0)} ms until the room lived on; ` +
        `stopped: no call took longer than ${moved.toFixed(0)} ms (goal: ${GOAL} ms)`,
    );
  } finally {
    await browser.close();
  }
}

/** Without NATS, there is one node. It is killed, and comes back with its log. */
async function oneNode() {
  const program = await rooms({ ...process.env, PATH: "" });
  assert.match(program.lines[0], /`nats-server` is not there: one node, with its directory in memory/);
  const client = new Client(program.url, "Ada");
  const post = (number) => client.call(({ room }) => room.post("Ada", number, `message ${number}`));
  assert.deepEqual(await client.call(({ front }) => front.nodes()), ["a"]);
  await post(1);
  const before = await client.call(({ room }) => room.place());
  await client.sessions.at(-1).front.switch("a").kill().catch(() => {});
  await post(2);
  const after = await client.call(({ room }) => room.place());
  assert.ok(after.epoch > before.epoch);
  await checkLog(client, { Ada: 2 });
  await stop(program);
}

const late = setTimeout(() => fail(new Error("the checks are still running")), 3 * LIMIT);

function fail(error) {
  console.error(`FAILED  rooms\n${`${error.stack ?? error}\n${errors}`.replace(/^/gm, "    ")}`);
  for (const child of started) killGroup(child);
  console.log("0 passed, 1 failed");
  process.exit(1);
}

try {
  const [program] = await Promise.all([rooms(), oneNode()]);
  const missing = program.lines.find((line) => MISSING.test(line));
  if (missing) console.log(`skipped: three nodes: ${missing}`);
  else await threeNodes(program);
  await stop(program);
} catch (error) {
  fail(error);
}
clearTimeout(late);
for (const child of started) killGroup(child);
console.log("1 passed, 0 failed");
process.exit(0);
