// Connections that pass for a `WebTransport`: one whose peer the check plays itself, and two that face each other.

/** Waits for `count` turns of the microtask queue. */
export async function microtasks(count) {
  for (let i = 0; i < count; i++) await undefined;
}

/** Lets everything run that needs no timer. */
export async function settled() {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A generator of numbers from 0 up to `bound`, the same ones for the same seed (xorshift). */
export function random(seed) {
  let state = seed | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

function deferred() {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/**
 * A connection whose peer is the check.
 *
 * `write(n, bytes)` is called for the write with the number `n`, the first of which is 0: it can throw, or return a
 * promise for the time that the write takes.
 */
export class FakeConnection {
  ready;
  closed;
  /** The bytes that were taken, as text. */
  taken = "";
  /** The size of each write. */
  writes = [];
  /** What came over the connection in the end: "finished" when the stream was, "closed" when the connection was. */
  ends = [];
  #closed = deferred();
  #stream;
  #controller;
  #decoder = new TextDecoder();

  constructor({ write = () => {}, ready = Promise.resolve(), open, onTaken = () => {} } = {}) {
    this.ready = ready;
    this.closed = this.#closed.promise;
    const readable = new ReadableStream({ start: (controller) => (this.#controller = controller), cancel: () => this.ends.push("canceled") });
    const writable = new WritableStream({
      write: async (bytes) => {
        await write(this.writes.length, bytes);
        this.writes.push(bytes.length);
        const text = this.#decoder.decode(bytes, { stream: true });
        this.taken += text;
        onTaken(text);
      },
      close: () => void this.ends.push("finished"),
      abort: () => void this.ends.push("aborted"),
    });
    this.#stream = open ?? { readable, writable };
  }

  /** The messages that were taken. */
  get messages() {
    return this.taken.split("\n").filter((line) => line !== "");
  }

  async createBidirectionalStream() {
    return this.#stream;
  }

  close() {
    this.ends.push("closed");
    this.#closed.resolve({});
  }

  /** Has bytes arrive, or a text as UTF-8. */
  deliver(chunk) {
    this.#controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
  }

  /** The peer sends nothing more. */
  finish() {
    this.#controller.close();
  }

  /** Reading fails. */
  fail(error) {
    this.#controller.error(error);
  }

  /** The connection is gone; the streams are not told. */
  lose(error) {
    if (error) this.#closed.reject(error);
    else this.#closed.resolve({});
  }
}

/**
 * Two connections that face each other, each of which takes a chunk after `delay()` has resolved, and only when the
 * other has read the one before.
 */
export function fakePair(delay = () => {}) {
  const [there, back] = [fakePipe(delay), fakePipe(delay)];
  const ends = [
    [back.readable, there.writable],
    [there.readable, back.writable],
  ];
  const closed = deferred();
  return ends.map(([readable, writable]) => ({
    ready: Promise.resolve(),
    closed: closed.promise,
    createBidirectionalStream: async () => ({ readable, writable }),
    close: () => closed.resolve({}),
  }));
}

function fakePipe(delay) {
  let controller;
  let isWanted = deferred();
  const readable = new ReadableStream(
    {
      start: (one) => (controller = one),
      pull: () => isWanted.resolve(),
    },
    { highWaterMark: 0 },
  );
  const writable = new WritableStream({
    async write(bytes) {
      await delay();
      await isWanted.promise;
      isWanted = deferred();
      controller.enqueue(bytes);
    },
    close: () => controller.close(),
    abort: (reason) => controller.error(reason),
  });
  return { readable, writable };
}

/** A clock that stands still, in place of `setTimeout`, until `advance` turns it. */
export class FakeClock {
  #now = 0;
  #timers = new Map();
  #next = 1;
  #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

  constructor() {
    globalThis.setTimeout = (run, ms = 0, ...args) => {
      this.#timers.set(this.#next, { at: this.#now + ms, run: () => run(...args) });
      return this.#next++;
    };
    globalThis.clearTimeout = (id) => this.#timers.delete(id);
  }

  /** The number of timers that would still go off. */
  get pending() {
    return this.#timers.size;
  }

  async advance(ms) {
    const until = this.#now + ms;
    await settled();
    for (;;) {
      const [id, timer] = [...this.#timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (!timer) break;
      this.#timers.delete(id);
      this.#now = timer.at;
      timer.run();
      await settled();
    }
    this.#now = until;
  }

  [Symbol.dispose]() {
    Object.assign(globalThis, this.#real);
  }
}
