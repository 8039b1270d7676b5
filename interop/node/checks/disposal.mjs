// Who holds what for how long. Every other check looks at the tables too, when it has ended.

import assert from "node:assert/strict";
import { RpcTarget } from "capnweb";
import { topic } from "../harness/registry.mjs";

const check = topic("disposal");

async function counters(t) {
  return (await t.api.probe.live()).counters;
}

check("a peer's object goes when its stub is disposed", async (t) => {
  const before = await counters(t);
  const counter = await t.api.makeCounter(0);
  assert.equal(await counters(t), before + 1);
  counter[Symbol.dispose]();
  await t.until("the counter is gone", async () => (await counters(t)) === before);
});

check("a stub used after its disposal fails here and harms nothing", async (t) => {
  const counter = await t.api.makeCounter(0);
  counter[Symbol.dispose]();
  await assert.rejects(t.ask(() => counter.increment()), /disposed/);
});

check("disposing a result disposes every stub in it", async (t) => {
  const before = await counters(t);
  const stubs = await t.api.probe.stubs();
  assert.equal(await counters(t), before + 3);
  stubs[Symbol.dispose]();
  await t.until("the counters are gone", async () => (await counters(t)) === before);
});

check("a promise that was never awaited holds its result until disposed", async (t) => {
  const before = await counters(t);
  const promise = t.api.makeCounter(0);
  assert.equal(await promise.increment(), 1);
  assert.equal(await counters(t), before + 1);
  promise[Symbol.dispose]();
  await t.until("the counter is gone", async () => (await counters(t)) === before);
});

check("a promise disposed before its call ended drops what it gives", async (t) => {
  const before = await counters(t);
  const promise = t.api.probe.counterAfter(20, 1);
  promise[Symbol.dispose]();
  await t.api.sleep(40);
  await t.until("the counter is gone", async () => (await counters(t)) === before);
});

check("a pulled promise disposed before its call ended drops what it gives", async (t) => {
  const before = await counters(t);
  const promise = t.api.probe.counterAfter(20, 1);
  const outcome = promise.then(() => "resolved", () => "rejected");
  promise[Symbol.dispose]();
  assert.equal(await outcome, "rejected");
  await t.api.sleep(40);
  await t.until("the counter is gone", async () => (await counters(t)) === before);
});

check("a handler runs to its end though nobody wants the result", async (t) => {
  const key = `abandoned ${Math.random()}`;
  const promise = t.api.probe.noteAfter(key, 10, "work");
  promise[Symbol.dispose]();
  await t.until("the end is noted", async () => {
    const notes = await t.api.probe.notes(key);
    return notes.includes("work ended");
  });
});

check("a handler is told when nobody wants its result any more", { notNode: "JavaScript handlers are not told" }, async (t) => {
  const key = `canceled ${Math.random()}`;
  const canceled = () => t.until("the handler was told", async () => (await t.api.probe.notes(key)).includes("canceled"));
  t.api.probe.noteCancel(key)[Symbol.dispose]();
  await canceled();
  const other = t.connect();
  other.api.probe.noteCancel(key).catch(() => {});
  await other.api.ping();
  other.socket.terminate();
  await canceled();
});

check("an argument is let go when its call ends", async (t) => {
  class Held extends RpcTarget {
    disposed = false;
    [Symbol.dispose]() {
      this.disposed = true;
    }
  }
  const held = new Held();
  const call = t.api.probe.describe([held, t.own(t.api.sleep(30))]);
  assert.equal(held.disposed, false);
  assert.equal(await call, "[stub, number 30]");
  await t.until("the argument is disposed", () => held.disposed);
});

check("an argument is let go when its call fails", async (t) => {
  let disposed = 0;
  class Held extends RpcTarget {
    [Symbol.dispose]() {
      disposed += 1;
    }
  }
  await assert.rejects(t.ask((api) => api.nowhere(new Held())));
  await assert.rejects(t.ask((api) => api.version(new Held())));
  await assert.rejects(t.ask((api) => api.fail(new Held())));
  await assert.rejects(t.ask((api, own) => api.square(own(api.fail("x")), new Held())));
  await assert.rejects(t.ask((api, own) => own(api.fail("x")).method(new Held())));
  await t.until("all five are disposed", () => disposed === 5);
});

check("a kept callback is let go when the peer drops it", async (t) => {
  let disposed = false;
  class Callable extends RpcTarget {
    [Symbol.dispose]() {
      disposed = true;
    }
  }
  await t.api.probe.keep(new Callable());
  await t.api.sleep(10);
  assert.equal(disposed, false);
  await t.api.probe.dropKept();
  await t.until("the callback is disposed", () => disposed);
});

check("a thousand objects come and go", async (t) => {
  const before = await counters(t);
  const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => t.api.makeCounter(i)));
  assert.equal(await counters(t), before + 1000);
  for (const counter of all) counter[Symbol.dispose]();
  await t.until("the counters are gone", async () => (await counters(t)) === before);
});

check("results nested in one another leave nothing behind", async (t) => {
  const before = await counters(t);
  const outer = t.api.echo({ inner: t.own(t.api.probe.stubs()), more: [t.own(t.api.makeCounter(1))] });
  const result = await outer;
  assert.equal(await result.inner.deep.counter.increment(), 4);
  assert.equal(await result.more[0].increment(), 2);
  t.own(result);
  await t.until("two sets of counters at most", async () => (await counters(t)) <= before + 8);
});

check("a stub that is released twice ends the session", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["makeCounter"], [1]]], ["pull", 1]);
  const [, , [, id]] = await peer.outcome(1);
  await peer.send(["release", id, 1], ["release", id, 1]);
  const [tag] = await peer.nextOf("abort");
  assert.equal(tag, "abort");
});

check("each time an object is handed out it has an ID of its own", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["probe", "twice"], []]], ["pull", 1]);
  const [, , both] = await peer.outcome(1);
  assert.equal(both.a[0], "export");
  assert.equal(both.b[0], "export");
  assert.notEqual(both.a[1], both.b[1]);
  await peer.send(["release", 1, 1], ["release", both.a[1], 1], ["push", ["pipeline", both.b[1], ["increment"], [4]]], ["pull", 2]);
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 4]);
});
