// What a page does with a server of ours, over each transport in turn. `run.mjs` loads this into the
// browser and calls `runChecks`.

import { newHttpBatchRpcSession, RpcSession, RpcTarget, WebSocketTransport } from "capnweb";
import { newWebTransportRpcSession, WebTransportTransport } from "./capnweb-webtransport.js";

// QUIC gives a peer that is silent 30 seconds.
const SECONDS = 45;
const LASTING = ["ws", "webtransport"];
const ALL = ["ws", "batch", "webtransport"];

const checks = [];

/** @param {string[]} over the transports that it makes sense on */
function check(name, over, run) {
  checks.push({ name, over, run });
}

const CHUNK = 65_536;

/** A stream of so many chunks. */
function zeros(chunks) {
  let left = chunks;
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array(CHUNK));
      else controller.close();
    },
  });
}

/** What the page offers to the server. */
class Local extends RpcTarget {
  greet(name) {
    return `hello ${name}`;
  }
}

/** A session that lasts, whose end can be seen. */
function connect(server, over, main = new Local()) {
  const transport =
    over === "ws"
      ? new WebSocketTransport(new WebSocket(server.ws))
      : new WebTransportTransport(server.webtransport, { serverCertificateHashes: [server.hash] });
  const session = new RpcSession(transport, main);
  const api = session.getRemoteMain();
  const broken = new Promise((resolve) => api.onRpcBroken(resolve));
  return { session, api, broken };
}

/** What a check works with: `api()` is the server's main object, for a batch a new one each time. */
class Context {
  #opened;

  constructor(server, over) {
    this.server = server;
    this.over = over;
  }

  get opened() {
    this.#opened ??= connect(this.server, this.over);
    return this.#opened;
  }

  api() {
    return this.over === "batch" ? newHttpBatchRpcSession(this.server.http) : this.opened.api;
  }

  /** At the end both tables hold the main objects and nothing else. */
  async finish() {
    if (!this.#opened) return;
    const { session, api } = this.#opened;
    if (this.leaks) return api[Symbol.dispose]();
    await eventually("empty tables", async () => {
      const theirs = await api.probe.stats();
      const ours = session.getStats();
      // The server counts the very call that asks.
      return ours.imports === 1 && ours.exports === 1 && theirs.imports === 1 && theirs.exports === 2;
    });
    api[Symbol.dispose]();
  }
}

check("calls and properties", ALL, async (t) => {
  const api = t.api();
  equal(await Promise.all([api.square(5), api.add(2, 3), api.version]), [25, 5, "1.0"]);
});

check("values", ALL, async (t) => {
  const value = { text: "ä€😀\u2028", list: [1, [2], null], big: 2n ** 70n, date: new Date(1234567890123) };
  const bytes = Uint8Array.from({ length: 1000 }, (_, at) => at % 256);
  const api = t.api();
  const [back, bytesBack] = await Promise.all([api.echo(value), api.echo(bytes)]);
  equal(back.text, value.text);
  equal(back.list, value.list);
  equal(back.big, value.big);
  equal(back.date.getTime(), value.date.getTime());
  equal([...bytesBack], [...bytes]);
});

check("errors", ALL, async (t) => {
  const error = await rejection(t.api().fail("no such thing"));
  equal([error.constructor.name, error.message], ["RangeError", "no such thing"]);
});

check("pipelining", ALL, async (t) => {
  const api = t.api();
  const counter = api.makeCounter(10);
  const first = counter.increment(5);
  const second = api.incrementCounter(counter, 7);
  const user = api.getUser();
  equal(await Promise.all([first, second, user.name]), [15, 22, "Ada"]);
  counter[Symbol.dispose]();
  user[Symbol.dispose]();
});

check("map", ALL, async (t) => {
  // The library never releases what a function given to `map` captures.
  t.leaks = true;
  const api = t.api();
  using squares = await api.list(5).map((n) => ({ n, square: api.square(n) }));
  equal(JSON.stringify(squares), JSON.stringify([0, 1, 2, 3, 4].map((n) => ({ n, square: n * n }))));
});

check("a callback", LASTING, async (t) => {
  using answer = await t.api().callBack((x) => `called with ${x}`, 7);
  equal(answer.got, "called with 7");
});

check("a callback in a batch is called when the answer is there", ["batch"], async (t) => {
  let called;
  const api = t.api();
  const error = await rejection(api.callBack((x) => (called = x), 7));
  equal(called, 7);
  equal(error.message.includes("HTTP batch"), true);
});

check("the server calls the page", LASTING, async (t) => {
  equal(await t.api().probe.callPeer("greet", ["Ada"]), "hello Ada");
});

check("a thousand calls at once", ALL, async (t) => {
  const api = t.api();
  const squares = await Promise.all(Array.from({ length: 1000 }, (_, n) => api.square(n)));
  equal(squares[999], 999 * 999);
});

check("large messages", ALL, async (t) => {
  const text = "ä€😀 ".repeat(500_000);
  const api = t.api();
  const [one, two] = await Promise.all([api.echo(text), api.echo(text)]);
  equal(one === text && two === text, true);
});

check("10 MB down", ALL, async (t) => {
  let bytes = 0;
  for await (const chunk of await t.api().readable(160, CHUNK)) bytes += chunk.length;
  equal(bytes, 160 * CHUNK);
});

check("10 MB up", LASTING, async (t) => {
  equal(await t.api().countBytes(zeros(160)), 160 * CHUNK);
});

// The library does not wait for a stream before it sends a batch: what is in it by then is all that comes.
check("a short stream up", ["batch"], async (t) => {
  equal(await t.api().countBytes(zeros(1)), CHUNK);
});

check("10 MB up and down at once, and calls between", LASTING, async (t) => {
  const api = t.api();
  let down = 0;
  const reading = (async () => {
    for await (const chunk of await api.readable(160, CHUNK)) down += chunk.length;
  })();
  const writing = api.countBytes(zeros(160));
  let calls = 0;
  let isDone = false;
  const both = Promise.all([reading, writing]).finally(() => (isDone = true));
  while (!isDone) {
    equal(await api.square(calls), calls * calls);
    calls += 1;
  }
  equal((await both)[1], 160 * CHUNK);
  equal(down, 160 * CHUNK);
});

check("the server ends the session", LASTING, async (t) => {
  const { api, broken } = connect(t.server, t.over);
  const pending = rejection(api.sleep(60_000));
  api.probe.hangUp().catch(() => {});
  const [reason, error] = await Promise.all([broken, pending]);
  equal(reason.message !== "" && error.message, reason.message);
});

check("the page ends the session", LASTING, async (t) => {
  const watcher = t.api();
  const before = (await watcher.probe.live()).mains;
  const { api } = connect(t.server, t.over);
  await api.square(1);
  equal((await watcher.probe.live()).mains, before + 1);
  api[Symbol.dispose]();
  await eventually("the server lets go", async () => (await watcher.probe.live()).mains === before);
});

check("the connection is lost", LASTING, async (t) => {
  const server = await globalThis.startServer();
  const { api, broken } = connect(server, t.over);
  await api.square(1);
  const pending = rejection(api.sleep(60_000));
  await globalThis.killServer(server.id);
  // Over UDP nobody says that the server is gone unless something is sent to it.
  const asked = rejection(api.square(2));
  const [reason, ...errors] = await Promise.all([broken, pending, asked]);
  equal(errors.map((error) => error.message), [reason.message, reason.message]);
  equal((await rejection(api.square(3))).message, reason.message);
});

check("the connection is lost", ["batch"], async (t) => {
  const server = await globalThis.startServer();
  const pending = rejection(newHttpBatchRpcSession(server.http).sleep(60_000));
  await globalThis.killServer(server.id);
  equal((await pending) instanceof Error, true);
});

check("a certificate that is not expected", ["webtransport"], async (t) => {
  const hash = "00".repeat(32);
  using api = newWebTransportRpcSession(t.server.webtransport, { serverCertificateHashes: [hash] });
  const error = await rejection(api.square(1));
  equal([error.message, error.cause?.name], ["WebTransport connection failed.", "WebTransportError"]);
});

check("a path that is refused", ["webtransport"], async (t) => {
  for (const status of [401, 404, 429, 503]) {
    const url = new URL(`/refuse/${status}`, t.server.webtransport);
    using api = newWebTransportRpcSession(url, { serverCertificateHashes: [t.server.hash] });
    const error = await rejection(api.square(1));
    equal(error.message, "WebTransport connection failed.");
  }
});

check("a connection that is there already", ["webtransport"], async (t) => {
  const value = Uint8Array.from(t.server.hash.split(":"), (byte) => Number.parseInt(byte, 16));
  const connection = new WebTransport(t.server.webtransport, {
    serverCertificateHashes: [{ algorithm: "sha-256", value }],
  });
  const api = newWebTransportRpcSession(connection, undefined, new Local());
  equal(await api.probe.callPeer("greet", ["Ada"]), "hello Ada");
  api[Symbol.dispose]();
  await connection.closed.catch(() => {});
});

/** Runs the checks that apply and reports each. */
export async function runChecks({ over, server, only }) {
  for (const { name, run } of checks.filter((check) => check.over.includes(over))) {
    if (only && !name.includes(only)) continue;
    const started = performance.now();
    let detail;
    try {
      const context = new Context(server, over);
      await within(SECONDS, async () => {
        await run(context);
        await context.finish();
      });
    } catch (error) {
      detail = error?.stack ?? String(error);
    }
    const ms = Math.round(performance.now() - started);
    await globalThis.report({ check: name, over, ok: detail === undefined, ms, detail });
  }
}

async function within(seconds, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${seconds} s`)), seconds * 1000);
  });
  try {
    await Promise.race([run(), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function eventually(what, condition) {
  const deadline = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`in vain we waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The error that a promise rejects with. */
async function rejection(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected an error, got ${JSON.stringify(value)}`);
}

function equal(actual, expected) {
  const same = (a, b) =>
    Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((x, at) => same(x, b[at])) : a === b;
  if (!same(actual, expected)) throw new Error(`expected ${shown(expected)}, got ${shown(actual)}`);
}

function shown(value) {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}n` : part));
}
