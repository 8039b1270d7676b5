// Promises as arguments: replaced by what they resolve to before the callee sees them.

import assert from "node:assert/strict";
import { RpcPromise } from "capnweb";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("arguments");

check("a promise as an argument", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => api.square(own(api.add(1, 2)))), 9);
  assert.equal(await t.ask((api, own) => api.add(own(api.square(2)), own(api.square(3)))), 13);
});

check("a promise that waits, as an argument", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => api.square(own(api.sleep(20)))), 400);
});

check("promises nested anywhere in an argument", BOTH, async (t) => {
  const echoed = await t.ask((api, own) => {
    const nine = own(api.square(3));
    return api.echo({ list: [nine, { deep: [nine, own(api.getUser()).name] }], later: own(api.sleep(5)) });
  });
  assert.deepEqual(echoed, { list: [9, { deep: [9, "Ada"] }], later: 5 });
});

check("the callee sees values where the caller gave promises", BOTH, async (t) => {
  const seen = await t.ask((api, own) => api.probe.describe([own(api.square(3)), own(api.returnUndefined()), own(api.getUser()).tags]));
  assert.equal(seen, '[number 9, undefined, [string "x"]]');
});

check("a property of a promise as an argument", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => api.square(own(api.getUser()).id)), 49);
});

check("a property of the main object as an argument", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.echo(api.version)), "1.0");
});

check("a promise for a stub as an argument", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => api.incrementCounter(own(api.makeCounter(5)), 2)), 7);
  assert.equal(await t.ask((api, own) => api.useCounter(own(api.probe.counterAfter(10, 5)), 3)), 8);
  assert.equal(await t.ask((api, own) => api.incrementCounter(own(api.probe.stubs()).deep.counter)), 4);
});

check("a promise already awaited, as an argument, fails that call alone", { notNode: "the reference ends the session" }, async (t) => {
  const nine = t.api.square(3);
  assert.equal(await nine, 9);
  // JavaScript sends the ID that it has just released.
  await assert.rejects(t.ask((api) => api.square(nine)));
  assert.equal(await t.api.square(2), 4);
});

check("a push that mentions a released promise fails alone", { notNode: "the reference ends the session" }, async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["square"], [3]]], ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 9]);
  await peer.send(["release", 1, 1], ["push", ["pipeline", 0, ["square"], [["pipeline", 1]]]], ["pull", 2]);
  assert.equal((await peer.outcome(2))[0], "reject");
  await peer.send(["push", ["pipeline", 0, ["square"], [2]]], ["pull", 3]);
  assert.deepEqual(await peer.outcome(3), ["resolve", 3, 4]);
});

check("a promise of ours, resolved later", async (t) => {
  let resolve;
  const promise = t.own(new RpcPromise(new Promise((r) => (resolve = r))));
  const answer = t.api.square(promise);
  const other = await t.api.square(2);
  resolve(6);
  assert.deepEqual([other, await answer], [4, 36]);
});

check("a promise of ours that rejects", async (t) => {
  const promise = t.own(new RpcPromise(Promise.reject(new RangeError("ours"))));
  await assert.rejects(t.ask((api) => api.square(promise)), { name: "RangeError", message: "ours" });
});

check("a promise of ours for a stub", async (t) => {
  const promise = t.own(new RpcPromise(Promise.resolve((x) => x + 1)));
  assert.deepEqual(await t.api.callFunction(promise, 4), { result: 5 });
});

check("the same promise many times over", BOTH, async (t) => {
  const echoed = await t.ask((api, own) => {
    const user = own(api.getUser());
    return api.echo(Array.from({ length: 20 }, () => user));
  });
  assert.equal(echoed.length, 20);
  for (const user of echoed) assert.deepEqual(user, { name: "Ada", id: 7, tags: ["x"] });
});

check("a promise inside a result", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api) => api.probe.later(10, { x: [1] })), { now: true, later: { x: [1] } });
  assert.deepEqual(await t.ask((api, own) => own(api.probe.later(10, { x: [1] })).later.x), [1]);
  assert.equal(await t.ask((api, own) => api.square(own(api.probe.later(10, 5)).later)), 25);
});

check("a promise inside an array inside a result used twice", BOTH, async (t) => {
  const result = await t.ask((api, own) => {
    const later = own(api.probe.later(5, "v"));
    return Promise.all([api.echo([later, later]), later.now]);
  });
  assert.deepEqual(result, [[{ now: true, later: "v" }, { now: true, later: "v" }], true]);
});
