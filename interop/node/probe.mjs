// What a check needs to see or provoke on the other side, beyond the main object's own methods.
// It hangs off the main object as the property `probe`; README.md lists what each method promises.

import { RpcPromise, RpcStub, RpcTarget } from "capnweb";
import { alive, Counter } from "./main-object.mjs";
import { describe } from "./describe.mjs";
import { retain } from "./retain.mjs";
import { TroubledStreams } from "./troubled-streams.mjs";

/** Stubs that one session leaves for another, by name. */
const shared = new Map();

/** What calls left behind, by the name of the check that asked for it. */
const journals = new Map();

function note(key, entry) {
  if (!journals.has(key)) journals.set(key, []);
  journals.get(key).push(entry);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Probe extends RpcTarget {
  #session;
  #kept;
  #streams = new TroubledStreams();

  attach(session) {
    this.#session = session;
  }

  // --- looking in

  /** The caller's session as it is once this call itself stands in its table. */
  async stats() {
    await pause(0);
    return this.#session.getStats();
  }

  live() {
    return { mains: alive.mains.size, counters: alive.counters.size };
  }

  describe(value) {
    return describe(value);
  }

  decode(value) {
    return retain(value);
  }

  // --- order, and calls that run on

  note(key, entry) {
    note(key, entry);
  }

  async noteAfter(key, ms, entry) {
    note(key, `${entry} started`);
    await pause(ms);
    note(key, `${entry} ended`);
  }

  notes(key) {
    const entries = journals.get(key) ?? [];
    journals.delete(key);
    return entries;
  }

  // --- calling the other way

  keep(stub) {
    this.#kept?.[Symbol.dispose]();
    this.#kept = stub.dup();
  }

  async callKept(...args) {
    return retain(await this.#kept(...args));
  }

  dropKept() {
    this.#kept?.[Symbol.dispose]();
    this.#kept = undefined;
  }

  async callMany(f, n) {
    return Promise.all(Array.from({ length: n }, (_, i) => f(i)));
  }

  callPeer(method, args) {
    return this.#session.getRemoteMain()[method](...args);
  }

  readPeer(property) {
    return this.#session.getRemoteMain()[property];
  }

  hangUp() {
    setImmediate(() => this.#session.getRemoteMain()[Symbol.dispose]());
  }

  // --- from one session to another

  share(name, stub) {
    this.unshare(name);
    shared.set(name, stub.dup());
  }

  shared(name) {
    return shared.get(name).dup();
  }

  unshare(name) {
    shared.get(name)?.[Symbol.dispose]();
    shared.delete(name);
  }

  // --- streams with something the matter

  get streams() {
    return this.#streams;
  }

  // --- results worth a check

  get nested() {
    return { a: { b: [10, 20, 30] }, triple: (x) => x * 3 };
  }

  async counterAfter(ms, n) {
    await pause(ms);
    return new Counter(n);
  }

  later(ms, value) {
    const promised = retain(value);
    return { now: true, later: new RpcPromise(pause(ms).then(() => promised)) };
  }

  broken(message) {
    return { fine: true, bad: new RpcPromise(Promise.reject(new RangeError(message))) };
  }

  stubs() {
    return {
      list: [new Counter(1), new Counter(2)],
      deep: { counter: new Counter(3) },
      double: (x) => x * 2,
    };
  }

  twice() {
    const one = new RpcStub(new Counter(0));
    return { a: one, b: one.dup() };
  }

  rich() {
    throw richError();
  }

  richValue() {
    return richError();
  }

  aggregate() {
    throw new AggregateError([new TypeError("first"), new RangeError("second")], "several");
  }

  // --- what only JavaScript can do

  throwValue(value) {
    throw value;
  }

  surrogate() {
    return "a\ud800b";
  }

  codeUnits(text) {
    return Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  }
}

function richError() {
  const error = new RangeError("out of reach", { cause: new TypeError("the reason") });
  error.code = "E_REACH";
  error.data = { list: [1, 2], when: new Date(0) };
  return error;
}
