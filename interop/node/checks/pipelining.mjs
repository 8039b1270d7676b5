import assert from "node:assert/strict";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("pipelining");

check("a call on the result of a call", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => own(api.makeCounter(4)).increment(3)), 7);
});

check("calls on one promise run in order", BOTH, async (t) => {
  const results = await t.ask((api, own) => {
    const counter = own(api.makeCounter(0));
    return Promise.all([counter.increment(1), counter.increment(10), counter.increment(100), counter.value]);
  });
  assert.deepEqual(results, [1, 11, 111, 111]);
});

check("a promise that waits queues its calls in order", BOTH, async (t) => {
  const results = await t.ask((api, own) => {
    const counter = own(api.probe.counterAfter(20, 5));
    return Promise.all([counter.increment(1), counter.increment(10), counter.increment(100), counter.value]);
  });
  assert.deepEqual(results, [6, 16, 116, 116]);
});

check("properties of a result, and steps through them", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => own(api.getUser()).name), "Ada");
  assert.deepEqual(await t.ask((api, own) => own(api.getUser()).tags), ["x"]);
  assert.equal(await t.ask((api, own) => own(api.echo({ a: { b: { c: "deep" } } })).a.b.c), "deep");
});

check("a method of a stub inside a result", BOTH, async (t) => {
  const results = await t.ask((api, own) => {
    const stubs = own(api.probe.stubs());
    return Promise.all([stubs.deep.counter.increment(7), stubs.deep.counter.value, stubs.double(21)]);
  });
  assert.deepEqual(results, [10, 10, 42]);
});

check("a list element by number", async (t) => {
  const peer = t.raw();
  await peer.send(
    ["push", ["pipeline", 0, ["list"], [5]]],
    ["push", ["pipeline", 1, [3]]], ["pull", 2],
    ["push", ["pipeline", 1, [99]]], ["pull", 3],
    ["push", ["pipeline", 1, [-1]]], ["pull", 4],
    ["push", ["pipeline", 1, ["length"]]], ["pull", 5],
    ["push", ["pipeline", 0, ["probe", "stubs"], []]],
    ["push", ["pipeline", 6, ["list", 1, "increment"], [5]]], ["pull", 7],
  );
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 3]);
  for (const id of [3, 4, 5]) assert.deepEqual(await peer.outcome(id), ["resolve", id, ["undefined"]]);
  assert.deepEqual(await peer.outcome(7), ["resolve", 7, 7]);
});

check("a list element by text, as JavaScript clients ask for it", { ...BOTH, notNode: "the reference answers undefined" }, async (t) => {
  assert.equal(await t.ask((api, own) => own(api.list(5))[3]), 3);
  assert.equal(await t.ask((api, own) => own(api.probe.stubs()).list[1].increment(5)), 7);
});

check("three dependent calls need one round trip", { over: ["batch"] }, async (t) => {
  const api = t.batch();
  const first = api.add(1, 2);
  const second = api.square(first);
  assert.deepEqual(await Promise.all([first, second, api.add(second, first)]), [3, 9, 12]);
});

check("a chain of a thousand calls on results", { seconds: 20 }, async (t) => {
  let at = t.api.next(0);
  for (let i = 1; i < 1000; i += 1) at = t.api.next(t.own(at));
  assert.equal(await at, 1000);
});

check("a chain of a thousand calls of self", async (t) => {
  let self = t.own(t.api.self());
  for (let i = 1; i < 1000; i += 1) self = t.own(self.self());
  assert.equal(await self.square(4), 16);
});

check("a promise is still good to pipeline on after it was awaited", async (t) => {
  const promise = t.api.makeCounter(1);
  const counter = t.own(await promise);
  assert.equal(await counter.increment(1), 2);
  assert.equal(await promise.increment(1), 3);
  const user = t.api.getUser();
  await user;
  assert.equal(await user.name, "Ada");
});

check("a result used before and after it settled", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["probe", "counterAfter"], [30, 1]]], ["push", ["pipeline", 1, ["increment"], [1]]], ["pull", 2]);
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 2]);
  await peer.send(["push", ["pipeline", 1, ["increment"], [1]]], ["pull", 3]);
  assert.deepEqual(await peer.outcome(3), ["resolve", 3, 3]);
  await peer.send(["release", 1, 1], ["push", ["pipeline", 0, ["ping"], []]], ["pull", 4]);
  assert.equal((await peer.outcome(4))[0], "resolve");
});

check("calls on a result that was released unresolved still run", async (t) => {
  const key = `released ${Math.random()}`;
  const peer = t.raw();
  await peer.send(
    ["push", ["pipeline", 0, ["probe", "counterAfter"], [20, 1]]],
    ["push", ["pipeline", 1, ["increment"], [41]]],
    ["push", ["pipeline", 0, ["probe", "note"], [key, ["pipeline", 2]]]],
    ["release", 1, 1], ["release", 2, 1], ["pull", 3],
  );
  assert.deepEqual(await peer.outcome(3), ["resolve", 3, ["undefined"]]);
  assert.deepEqual(await t.api.probe.notes(key), [42]);
});
