import assert from "node:assert/strict";
import { RpcStub } from "capnweb";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("map");

/** Why the tables are not looked at after a JavaScript client's map that captures a stub. */
const CAPTURES_STAY = "the reference never releases what its own maps capture";

check("a call for each element", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.list(5)).map((i) => api.square(i))), [0, 1, 4, 9, 16]);
});

check("an empty list stays empty", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.list(0)).map((i) => api.square(i))), []);
});

check("the element itself", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.list(3)).map((i) => i)), [0, 1, 2]);
});

check("a constant", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.list(3)).map(() => "same")), ["same", "same", "same"]);
});

check("an object and a list for each element", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.list(2)).map((i) => ({ i, pair: [i, api.square(i)], fixed: { n: null } }))), [
    { i: 0, pair: [0, 0], fixed: { n: null } },
    { i: 1, pair: [1, 1], fixed: { n: null } },
  ]);
});

check("calls that depend on one another", BOTH, async (t) => {
  const results = await t.ask((api, own) => own(api.list(4)).map((i) => api.add(api.square(i), api.next(i))));
  assert.deepEqual(results, [1, 3, 7, 13]);
});

check("properties of the element", BOTH, async (t) => {
  const results = await t.ask((api, own) => own(api.echo([{ a: { b: 1 } }, { a: { b: 2 } }])).map((o) => api.square(o.a.b)));
  assert.deepEqual(results, [1, 4]);
  assert.deepEqual(await t.ask((api, own) => own(api.echo([{ a: 1 }, {}])).map((o) => o.a)), [1, undefined]);
});

check("one value that is no list is mapped once", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => own(api.returnNumber(6)).map((n) => api.square(n))), 36);
  assert.deepEqual(await t.ask((api, own) => own(api.getUser()).map((user) => ({ hello: user.name }))), { hello: "Ada" });
  assert.equal(await t.ask((api, own) => own(api.echo("text")).map((text) => text)), "text");
});

check("null and undefined are left alone", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => own(api.returnNull()).map((n) => api.square(n))), null);
  assert.equal(await t.ask((api, own) => own(api.returnUndefined()).map((n) => api.square(n))), undefined);
});

check("null and undefined among the elements are mapped", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.echo([null, undefined, 1])).map((x) => [x])), [[null], [undefined], [1]]);
});

check("a property of a result", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.getUser()).tags.map((tag) => ({ tag }))), [{ tag: "x" }]);
});

check("a map of a map", BOTH, async (t) => {
  const results = await t.ask((api, own) => own(own(api.list(3)).map((i) => api.square(i))).map((i) => api.next(i)));
  assert.deepEqual(results, [1, 2, 5]);
});

check("a map inside a map", BOTH, async (t) => {
  const results = await t.ask((api, own) => own(api.list(4)).map((n) => api.generateFibonacci(n).map((f) => api.square(f))));
  assert.deepEqual(results, [[], [0], [0, 1], [0, 1, 1]]);
});

check("a map inside a map inside a map that uses them all", BOTH, async (t) => {
  const results = await t.ask((api, own) =>
    own(api.list(3)).map((a) => api.list(a).map((b) => api.list(2).map((c) => [a, b, api.add(api.add(a, b), c)]))),
  );
  const list = (n) => Array.from({ length: n }, (_, i) => i);
  assert.deepEqual(results, list(3).map((a) => list(a).map((b) => list(2).map((c) => [a, b, a + b + c]))));
});

check("a promise captured from outside", BOTH, async (t) => {
  const results = await t.ask((api, own) => {
    const nine = own(api.square(3));
    return own(api.list(3)).map((i) => api.add(i, nine));
  });
  assert.deepEqual(results, [9, 10, 11]);
});

check("a stub of the peer captured from outside", { leaks: CAPTURES_STAY }, async (t) => {
  const counter = t.own(await t.api.makeCounter(100));
  const totals = await t.own(t.api.list(3)).map((i) => counter.increment(i));
  assert.deepEqual(totals, [100, 101, 103]);
});

check("a promise for a stub captured from outside", { ...BOTH, leaks: CAPTURES_STAY }, async (t) => {
  const totals = await t.ask((api, own) => {
    const counter = own(api.makeCounter(100));
    return own(api.list(3)).map((i) => counter.increment(i));
  });
  assert.deepEqual(totals, [100, 101, 103]);
});

check("a function of ours captured from outside", { leaks: CAPTURES_STAY }, async (t) => {
  const double = t.own(new RpcStub((x) => x * 2));
  assert.deepEqual(await t.own(t.api.list(3)).map((i) => double(i)), [0, 2, 4]);
  assert.deepEqual(await t.own(t.api.list(2)).map((i) => t.api.callFunction(double, i)), [{ result: 0 }, { result: 2 }]);
});

check("a function of ours captured by an inner map", { leaks: CAPTURES_STAY }, async (t) => {
  const double = t.own(new RpcStub((x) => x * 2));
  const results = await t.own(t.api.list(3)).map((n) => t.api.list(n).map((i) => double(i)));
  assert.deepEqual(results, [[], [0], [0, 2]]);
});

check("stubs as elements", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.probe.stubs()).list.map((counter) => counter.increment(10))), [11, 12]);
  assert.deepEqual(await t.ask((api, own) => own(api.probe.stubs()).list.map((counter) => counter.value)), [1, 2]);
});

check("new stubs as results", async (t) => {
  const counters = t.own(await t.own(t.api.list(3)).map((i) => t.api.makeCounter(i)));
  assert.deepEqual(await Promise.all(counters.map((counter) => counter.increment(1))), [1, 2, 3]);
});

check("a call on what a map gave", BOTH, async (t) => {
  const seen = await t.ask((api, own) => api.probe.describe(own(own(api.list(3)).map((i) => api.square(i)))));
  assert.equal(seen, "[number 0, number 1, number 4]");
});

check("calls that wait inside a map", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.list(3)).map((i) => api.sleep(i))), [0, 1, 2]);
});

check("an error in one element fails the result", BOTH, async (t) => {
  await assert.rejects(t.ask((api, own) => own(api.echo([1, 2])).map((x) => api.fail("in the middle"))), { name: "RangeError", message: "in the middle" });
  await assert.rejects(t.ask((api, own) => own(api.fail("before")).map((x) => x)), { name: "RangeError", message: "before" });
});

check("a failing call whose result is not used is ignored", BOTH, async (t) => {
  const results = await t.ask((api, own) =>
    own(api.list(2)).map((i) => {
      api.fail("unused");
      return i;
    }),
  );
  assert.deepEqual(results, [0, 1]);
});

check("the elements are done one after the other", async (t) => {
  const key = `map ${Math.random()}`;
  const results = await t.own(t.api.list(3)).map((i) => [t.api.probe.note(key, ["a", i]), t.api.probe.note(key, ["b", i])]);
  assert.equal(results.length, 3);
  assert.deepEqual(await t.api.probe.notes(key), [["a", 0], ["b", 0], ["a", 1], ["b", 1], ["a", 2], ["b", 2]]);
});

check("a map over a value of ours", async (t) => {
  const results = await t.api.callBack(async (list) => list, [1, 2]);
  assert.deepEqual(results, { got: [1, 2] });
  const mapped = t.own(await t.own(t.api.callBack((x) => [x, { n: x }], 7)).got.map((x) => ({ x })));
  assert.deepEqual(mapped, [{ x: 7 }, { x: { n: 7 } }]);
});

check("a map of a thousand elements", async (t) => {
  const squares = await t.own(t.api.list(1000)).map((i) => t.api.square(i));
  assert.deepEqual(squares, Array.from({ length: 1000 }, (_, i) => i * i));
});

/** Sends one remap of the list [0, 1, 2] and gives its outcome. */
async function remapped(t, captures, instructions) {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["list"], [3]]], ["push", ["remap", 1, [], captures, instructions]], ["pull", 2]);
  const outcome = await peer.outcome(2);
  await peer.send(["push", ["pipeline", 0, ["square"], [3]]], ["pull", 3]);
  assert.deepEqual(await peer.outcome(3), ["resolve", 3, 9], "the session lives");
  return outcome;
}

check("instructions as they stand on the wire", async (t) => {
  const [tag, id] = await remapped(t, [["import", 0]], [["pipeline", -1, ["square"], [["pipeline", 0]]], ["pipeline", 1]]);
  assert.deepEqual([tag, id], ["resolve", 2]);
});

check("an empty list of instructions fails that map alone", async (t) => {
  assert.deepEqual((await remapped(t, [], []))[0], "reject");
});

check("an unknown ID in an instruction fails that map alone", async (t) => {
  for (const instruction of [["pipeline", 7], ["pipeline", -3], ["import", 5], ["export", -1], ["promise", -1], ["nonsense"]]) {
    assert.equal((await remapped(t, [["import", 0]], [instruction]))[0], "reject", JSON.stringify(instruction));
  }
});

