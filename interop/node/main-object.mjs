// The main object that every interop server gives a connection. `capnweb-interop serve` has the
// same one in Rust, so that a check written once runs against either.

import { RpcTarget } from "capnweb";
import { Fetch } from "./fetch.mjs";
import { Probe } from "./probe.mjs";
import { retain } from "./retain.mjs";
import { Tour } from "./tour.mjs";

/** How often each ID was counted, by all sessions together. */
const counts = new Map();

/** Objects of this process that a client can reach, until their last stub is dropped. */
export const alive = { mains: new Set(), counters: new Set() };

export class Counter extends RpcTarget {
  #value;

  constructor(value = 0) {
    super();
    this.#value = value;
    alive.counters.add(this);
  }

  increment(by = 1) {
    this.#value += by;
    return this.#value;
  }

  get value() {
    return this.#value;
  }

  [Symbol.dispose]() {
    alive.counters.delete(this);
  }
}

export class Main extends Fetch {
  #probe = new Probe();
  #tour = new Tour();

  constructor() {
    super();
    alive.mains.add(this);
  }

  /** Tells the main object its session, which exists only after the object does. */
  attach(session) {
    this.#probe.attach(session);
  }

  get probe() {
    return this.#probe;
  }

  get tour() {
    return this.#tour;
  }

  get version() {
    return "1.0";
  }

  square(i) {
    return i * i;
  }

  async callSquare(self, i) {
    return { result: await self.square(i) };
  }

  async callFunction(f, i) {
    return { result: await f(i) };
  }

  throwError() {
    throw new RangeError("test error");
  }

  makeCounter(n = 0) {
    return new Counter(n);
  }

  incrementCounter(counter, by = 1) {
    return counter.increment(by);
  }

  useCounter(counter, by) {
    return counter.increment(by);
  }

  getMany(n) {
    return Array.from({ length: n }, (_, i) => new Counter(i));
  }

  async subscribe(f, n) {
    for (let i = 0; i < n; i++) await f(i);
  }

  flood(f, n, size) {
    const text = "x".repeat(size);
    for (let i = 0; i < n; i++) f(text)[Symbol.dispose]();
    return n;
  }

  generateFibonacci(n) {
    const numbers = [];
    for (let a = 0, b = 1; numbers.length < n; [a, b] = [b, a + b]) numbers.push(a);
    return numbers;
  }

  returnNull() {
    return null;
  }

  returnUndefined() {
    return undefined;
  }

  nothing() {}

  returnNumber(i) {
    return i;
  }

  ping() {
    return "pong from node";
  }

  add(a, b) {
    return a + b;
  }

  next(n) {
    return n + 1;
  }

  self() {
    return this;
  }

  count(id) {
    const times = (counts.get(id) ?? 0) + 1;
    counts.set(id, times);
    return times;
  }

  counts() {
    return [...counts];
  }

  echo(x) {
    return retain(x);
  }

  echoArgs(...args) {
    return retain(args);
  }

  async callBack(f, x) {
    return { got: await f(x) };
  }

  list(n) {
    return Array.from({ length: n }, (_, i) => i);
  }

  getUser() {
    return { name: "Ada", id: 7, tags: ["x"] };
  }

  /** Fails with the error whose code is `kind`. */
  moody(kind) {
    switch (kind) {
      case "unavailable":
        throw Object.assign(new Error("busy, try again in 30 s"), { code: kind, retryAfter: 30 });
      case "not_found":
        throw Object.assign(new RangeError("no such mood"), { code: kind, retryAfter: 5 });
      case "internal":
        throw Object.assign(new Error("internal error"), { code: kind });
      default:
        throw Object.assign(new Error(`in a mood: ${kind}`), { code: kind, retryAfter: 1 });
    }
  }

  fail(message) {
    throw new RangeError(message);
  }

  sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms, ms));
  }

  [Symbol.dispose]() {
    alive.mains.delete(this);
  }
}
