// What a page does with a server of ours, over each transport in turn. `run.mjs` loads this into the
// browser and calls `runChecks`, `../deno/run.mjs` loads it into Deno.

import { newHttpBatchRpcSession, RpcSession, RpcTarget, WebSocketTransport } from "capnweb";
import { newWebTransportRpcSession, WebTransportTransport } from "./capnweb-webtransport.js";

// QUIC gives a peer that is silent 30 seconds.
const SECONDS = 45;
const SEED = 0x5eed;
/** The most turns of the microtask queue that lie between two things sent. */
const TURNS = 13;
const LASTING = ["ws", "webtransport"];
const ALL = ["ws", "batch", "webtransport"];

const checks = [];

/**
 * @param {string[]} over the transports that it makes sense on
 * @param {{ waits?: boolean, skip?: () => string | undefined }} [conditions] `waits`: it does little but wait for long, and
 *   runs beside the others; `skip`: why it cannot be had here, if it cannot
 */
function check(name, over, run, conditions = {}) {
  checks.push({ name, over, run, ...conditions });
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

/** Waits for `count` turns of the microtask queue. */
async function microtasks(count) {
  for (let i = 0; i < count; i++) await undefined;
}

/** A generator of numbers from 0 up to `bound`, the same ones each time (xorshift). */
function random(seed = SEED) {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

/** A stream of `count` chunks that are a few microtasks apart, and what is in them. */
function crumbs(count, make) {
  const next = random();
  const chunks = Array.from({ length: count }, (_, n) => make(n, next));
  let at = 0;
  const stream = new ReadableStream({
    async pull(controller) {
      await microtasks(next(TURNS));
      if (at < chunks.length) controller.enqueue(chunks[at++]);
      else controller.close();
    },
  });
  return { stream, chunks };
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

check("small messages at any distance in microtasks", ALL, async (t) => {
  for (let distance = 0; distance <= TURNS; distance++) {
    const api = t.api();
    const first = api.square(distance);
    await microtasks(distance);
    const second = api.add(distance, 1);
    equal(await Promise.all([first, second]), [distance * distance, distance + 1]);
  }
});

check("a call at any distance after an answer", LASTING, async (t) => {
  const api = t.api();
  for (let distance = 0; distance <= TURNS; distance++) {
    const counter = await api.makeCounter(distance);
    await microtasks(distance);
    equal(await counter.increment(1), distance + 1);
    counter[Symbol.dispose]();
  }
});

check("calls at random distances, answered in order", LASTING, async (t) => {
  const next = random();
  const counter = t.api().makeCounter(0);
  const answers = [];
  for (let n = 0; n < 300; n++) {
    answers.push(counter.increment(1));
    await microtasks(next(TURNS));
    if (next(20) === 0) await answers.at(-1);
  }
  equal(await Promise.all(answers), answers.map((_, n) => n + 1));
  counter[Symbol.dispose]();
});

// The library sends what a request shows as its body.
check("a request with a body", ALL, async (t) => {
  const url = "https://example.com/a%20b?c=d";
  for (const body of ["hé", "x".repeat(100_000), new Uint8Array(1000).fill(120)]) {
    const text = typeof body === "string" ? body : "x".repeat(body.length);
    const request = new Request(url, { method: "POST", headers: { "x-a": "b" }, body });
    equal(await t.api().readRequest(request), [url, "POST", "b", text]);
  }
}, { skip: () => ("body" in Request.prototype ? undefined : "requests here have no `body` that could be sent") });

check("a response with a body", ALL, async (t) => {
  for (const text of ["", "hé", "x".repeat(100_000)]) {
    const response = await t.api().makeResponse(text);
    equal([response.status, response.headers.get("x-a"), await response.text()], [201, "b", text]);
  }
});

check("a blob there and back", LASTING, async (t) => {
  for (const size of [0, 3, 300_000]) {
    const blob = await t.api().echoBlob(new Blob(["x".repeat(size)], { type: "a/b" }));
    equal([blob.type, (await blob.text()).length], ["a/b", size]);
  }
});

check("many small chunks up", LASTING, async (t) => {
  const { stream, chunks } = crumbs(1000, (n) => `chunk ${n};`);
  equal(await t.api().readAll(stream), chunks.join(""));
});

check("many small chunks down", ALL, async (t) => {
  const next = random();
  const first = [];
  for await (const chunk of await t.api().readable(1000, 3)) {
    first.push(chunk[0]);
    await microtasks(next(TURNS));
  }
  equal(first, Array.from({ length: 1000 }, (_, n) => n % 256));
});

check("many small chunks up, and calls and small chunks down between", LASTING, async (t) => {
  const api = t.api();
  const next = random();
  const { stream, chunks } = crumbs(500, (_, next) => new Uint8Array(next(20)));
  const up = api.countBytes(stream);
  const down = (async () => {
    let bytes = 0;
    for await (const chunk of await api.readable(500, 7)) bytes += chunk.length;
    return bytes;
  })();
  for (let n = 0; n < 40; n++) {
    const call = api.square(n);
    await microtasks(next(TURNS));
    equal(await call, n * n);
  }
  equal(await Promise.all([up, down]), [chunks.reduce((sum, chunk) => sum + chunk.length, 0), 3500]);
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
  const mains = async () => (await watcher.probe.live()).mains;
  // Sessions of earlier checks may be ending still: then it is another count that is one more.
  let [before, during, session] = [0, 0, undefined];
  await eventually("the server has one more", async () => {
    session?.api[Symbol.dispose]();
    before = await mains();
    session = connect(t.server, t.over);
    await session.api.square(1);
    during = await mains();
    return during === before + 1;
  });
  session.api[Symbol.dispose]();
  await eventually("the server lets go", async () => (await mains()) < during);
});

// Over UDP some engines find out by a timeout alone.
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
}, { waits: true });

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
  equal([error.message, error.cause instanceof Error], ["WebTransport connection failed.", true]);
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

/** Runs the checks over each of these transports, and reports each. */
export async function runChecks({ over, server, only = "" }) {
  const chosen = over.flatMap((over) =>
    checks.filter((check) => check.over.includes(over) && check.name.includes(only)).map((check) => ({ ...check, over })),
  );
  const beside = chosen.filter(({ waits }) => waits).map((check) => runCheck(check, server));
  for (const check of chosen.filter(({ waits }) => !waits)) await runCheck(check, server);
  await Promise.all(beside);
}

async function runCheck({ name, over, run, skip }, server) {
  const skipped = skip?.();
  if (skipped) return globalThis.report({ check: name, over, ok: true, ms: 0, skipped });
  const started = performance.now();
  let detail;
  try {
    const context = new Context(server, over);
    await within(SECONDS, async () => {
      await run(context);
      await context.finish();
    });
  } catch (error) {
    detail = `${error}\n${error?.stack ?? ""}`;
  }
  const ms = Math.round(performance.now() - started);
  await globalThis.report({ check: name, over, ok: detail === undefined, ms, detail });
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
