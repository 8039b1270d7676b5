// Objects and functions by reference, both ways.

import assert from "node:assert/strict";
import { RpcStub, RpcTarget } from "capnweb";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("capabilities");

class Tally extends RpcTarget {
  total = 0;
  disposed = 0;

  increment(by = 1) {
    return (this.total += by);
  }

  get value() {
    return this.total;
  }

  [Symbol.dispose]() {
    this.disposed += 1;
  }
}

/** A stub on a fresh Tally, and the Tally. */
function tallyStub(t) {
  const tally = new Tally();
  return { tally, stub: t.own(new RpcStub(tally)) };
}

check("an object of the peer keeps its state", async (t) => {
  const counter = t.own(await t.api.makeCounter(10));
  assert.equal(await counter.increment(), 11);
  assert.equal(await counter.increment(-5), 6);
  assert.equal(await counter.value, 6);
});

check("two objects are two", async (t) => {
  const [a, b] = [t.own(await t.api.makeCounter(0)), t.own(await t.api.makeCounter(0))];
  await a.increment(5);
  assert.deepEqual([await a.value, await b.value], [5, 0]);
});

check("the peer's own object, passed back", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => api.callSquare(own(api.self()), 5)), { result: 25 });
});

check("the peer's main object, passed back", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api) => api.callSquare(api, 5)), { result: 25 });
});

check("a stub of the peer, passed back after it was awaited", async (t) => {
  const counter = t.own(await t.api.makeCounter(1));
  assert.equal(await t.api.useCounter(counter, 2), 3);
  assert.equal(await t.api.incrementCounter(counter), 4);
  assert.equal(await counter.value, 4);
});

check("a function of ours is called", async (t) => {
  assert.deepEqual(await t.api.callFunction((i) => i * 10, 4), { result: 40 });
  assert.deepEqual(await t.api.callBack(async (x) => ({ saw: x }), [1, "two"]), { got: { saw: [1, "two"] } });
});

check("an object of ours is called", async (t) => {
  const { tally, stub } = tallyStub(t);
  assert.equal(await t.api.incrementCounter(stub, 3), 3);
  assert.equal(await t.api.useCounter(stub, 4), 7);
  assert.equal(tally.total, 7);
});

check("an object of ours, not wrapped in a stub, is disposed when the peer lets go", async (t) => {
  const tally = new Tally();
  assert.equal(await t.api.incrementCounter(tally, 3), 3);
  await t.until("the object is disposed", () => tally.disposed === 1);
});

check("a function nested in an argument is called", async (t) => {
  const results = t.own(await t.api.echo({ list: [{ f: (x) => x + 1 }] }));
  assert.equal(await results.list[0].f(1), 2);
});

check("a stub of ours comes back inside a result and still works", async (t) => {
  const { tally, stub } = tallyStub(t);
  const { held } = t.own(await t.api.echo({ held: stub }));
  assert.equal(await held.increment(2), 2);
  const [again] = t.own(await t.api.echoArgs(stub));
  assert.equal(await again.increment(2), 4);
  const decoded = t.own(await t.api.probe.decode([stub]));
  assert.equal(await decoded[0].increment(2), 6);
  assert.equal(tally.total, 6);
});

check("a stub of ours comes back as a whole result", { notNode: "the reference answers what its own client cannot await" }, async (t) => {
  const { tally, stub } = tallyStub(t);
  const back = t.own(await t.api.echo(stub));
  assert.equal(await back.increment(2), 2);
  assert.equal(await t.own(t.api.echo(stub)).increment(2), 4);
  assert.equal(tally.total, 4);
});

check("stubs nested in a result all work", async (t) => {
  const stubs = t.own(await t.api.probe.stubs());
  assert.equal(await stubs.list[0].increment(), 2);
  assert.equal(await stubs.list[1].increment(), 3);
  assert.equal(await stubs.deep.counter.value, 3);
  assert.equal(await stubs.double(4), 8);
});

check("one object handed out twice is two stubs of one", async (t) => {
  const { a, b } = t.own(await t.api.probe.twice());
  await a.increment(5);
  assert.equal(await b.value, 5);
  a[Symbol.dispose]();
  assert.equal(await b.increment(1), 6);
});

check("the same stub twice in an argument", async (t) => {
  const { stub } = tallyStub(t);
  const [a, b] = t.own(await t.api.echoArgs(stub, stub));
  assert.equal(await a.increment(1), 1);
  assert.equal(await b.increment(1), 2);
});

check("a callback that is kept can be called after the call", async (t) => {
  let calls = 0;
  await t.api.probe.keep((x) => ({ x, calls: (calls += 1) }));
  assert.deepEqual(await t.api.probe.callKept("a"), { x: "a", calls: 1 });
  assert.deepEqual(await t.api.probe.callKept("b"), { x: "b", calls: 2 });
  await t.api.probe.dropKept();
});

check("a callback that gives a stub", async (t) => {
  const tally = new Tally();
  const { got } = t.own(await t.api.callBack(() => tally, 0));
  assert.equal(await got.increment(9), 9);
});

check("a callback that takes a stub of the peer's and passes it on", { notNode: "the reference cannot hand on an object of its own that came back to it" }, async (t) => {
  const counter = t.own(await t.api.makeCounter(0));
  const answer = await t.api.callBack((c) => c.increment(5), counter);
  assert.deepEqual(answer, { got: 5 });
});

check("a callback that calls the peer while the peer waits", async (t) => {
  const answer = await t.api.callFunction(async (i) => (await t.api.square(i)) + 1, 6);
  assert.deepEqual(answer, { result: 37 });
});

check("ten levels of calls back and forth", async (t) => {
  const down = async (n) => (n === 0 ? 0 : (await t.api.callFunction(down, n - 1)).result + 1);
  assert.equal(await down(10), 10);
});

check("a callback called a thousand times at once", async (t) => {
  const results = await t.api.probe.callMany((i) => i * 2, 1000);
  assert.deepEqual(results, Array.from({ length: 1000 }, (_, i) => i * 2));
});

check("a stub duplicated lives until its last copy is disposed", async (t) => {
  const counter = await t.api.makeCounter(0);
  const copy = counter.dup();
  counter[Symbol.dispose]();
  assert.equal(await copy.increment(1), 1);
  copy[Symbol.dispose]();
});

check("a stub of one session works in another", { notNode: "the reference cannot hand on an object of its own that came back to it" }, async (t) => {
  const name = `shared ${Math.random()}`;
  const there = t.connect();
  const counter = t.own(await t.api.makeCounter(1));
  await t.api.probe.share(name, counter);
  const seen = t.own(await there.api.probe.shared(name));
  assert.equal(await seen.increment(1), 2);
  assert.equal(await counter.increment(1), 3);
  await t.api.probe.unshare(name);
});

check("a callback of one session is called through another", async (t) => {
  const name = `shared ${Math.random()}`;
  const there = t.connect();
  const { tally, stub } = tallyStub(t);
  await t.api.probe.share(name, stub);
  const seen = t.own(await there.api.probe.shared(name));
  assert.deepEqual([await seen.increment(2), await seen.increment(3), await seen.value], [2, 5, 5]);
  assert.equal(tally.total, 5);
  await assert.rejects(t.ask(() => Promise.resolve(seen.nowhere())), { name: "TypeError" });
  await t.api.probe.unshare(name);
});

check("we pass a stub of one session into another ourselves", async (t) => {
  const there = t.connect();
  const counter = t.own(await there.api.makeCounter(1));
  assert.equal(await t.api.useCounter(counter, 2), 3);
  assert.deepEqual(await t.api.callSquare(there.api.dup(), 5), { result: 25 });
  assert.equal(await t.api.incrementCounter(t.own(there.api.makeCounter(5)), 2), 7);
});

check("what a stub fails with in another session arrives here", async (t) => {
  const there = t.connect();
  assert.deepEqual(await t.api.callFunction(there.api.square, 5), { result: 25 });
  await assert.rejects(t.ask((api) => api.callFunction(there.api.fail, "through two")), { name: "RangeError", message: "through two" });
});
