import assert from "node:assert/strict";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("calls");

check("the methods of the main object answer", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.square(7)), 49);
  assert.match(await t.ask((api) => api.ping()), /^pong from (rust|node)$/);
  assert.equal(await t.ask((api) => api.add(2, 3)), 5);
  assert.equal(await t.ask((api) => api.add(0.1, 0.2)), 0.1 + 0.2);
  assert.equal(await t.ask((api) => api.next(41)), 42);
  assert.equal(await t.ask((api) => api.returnNumber(-1.5)), -1.5);
  assert.equal(await t.ask((api) => api.returnNull()), null);
  assert.equal(await t.ask((api) => api.returnUndefined()), undefined);
  assert.equal(await t.ask((api) => api.nothing()), undefined);
  assert.deepEqual(await t.ask((api) => api.list(4)), [0, 1, 2, 3]);
  assert.deepEqual(await t.ask((api) => api.list(0)), []);
  assert.deepEqual(await t.ask((api) => api.getUser()), { name: "Ada", id: 7, tags: ["x"] });
  assert.equal(await t.ask((api) => api.sleep(5)), 5);
});

check("fibonacci counts from the start", BOTH, async (t) => {
  const numbers = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34];
  for (const n of [0, 1, 2, 3, 10]) {
    assert.deepEqual(await t.ask((api) => api.generateFibonacci(n)), numbers.slice(0, n));
  }
});

check("echoArgs gives every argument", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api) => api.echoArgs()), []);
  assert.deepEqual(await t.ask((api) => api.echoArgs(1)), [1]);
  assert.deepEqual(await t.ask((api) => api.echoArgs([1, 2], { a: null }, undefined, "x")), [[1, 2], { a: null }, undefined, "x"]);
});

check("extra arguments are ignored", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.square(3, "extra", { more: true })), 9);
});

check("a missing argument takes its default", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => own(api.makeCounter()).increment()), 1);
  assert.equal(await t.ask((api, own) => own(api.makeCounter(undefined)).increment(undefined)), 1);
});

check("a missing argument without default is a TypeError that names method and parameter", { ...BOTH, notNode: "JavaScript calls with undefined" }, async (t) => {
  for (const call of [(api) => api.square(), (api) => api.square(undefined), (api) => api.add(1)]) {
    await assert.rejects(t.ask(call), (error) => {
      assert.equal(error.name, "TypeError");
      assert.match(error.message, /square|add/);
      return true;
    });
  }
});

check("an argument of the wrong type is a TypeError and the session lives", { ...BOTH, notNode: "JavaScript converts" }, async (t) => {
  await assert.rejects(t.ask((api) => api.square("three")), TypeError);
  await assert.rejects(t.ask((api) => api.list(-1)), Error);
  await assert.rejects(t.ask((api) => api.list(1.5)), Error);
  assert.equal(await t.ask((api) => api.square(2)), 4);
});

check("properties are read", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.version), "1.0");
  assert.deepEqual(await t.ask((api) => api.probe.nested.a), { b: [10, 20, 30] });
  assert.deepEqual(await t.ask((api) => api.probe.nested.a.b), [10, 20, 30]);
  assert.equal(await t.ask((api) => api.probe.nested.triple(5)), 15);
  assert.equal(await t.ask((api, own) => own(api.makeCounter(3)).value), 3);
});

check("a property that is not there is undefined", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.nowhere), undefined);
  assert.equal(await t.ask((api, own) => own(api.getUser()).nowhere), undefined);
  assert.equal(await t.ask((api) => api.version.nowhere), undefined);
  assert.equal(await t.ask((api, own) => own(api.returnNull()).nowhere), undefined);
  assert.equal(await t.ask((api, own) => own(api.returnNumber(1)).nowhere), undefined);
});

check("a step through undefined is a TypeError", BOTH, async (t) => {
  await assert.rejects(t.ask((api) => api.nowhere.further), {
    name: "TypeError",
    message: "Cannot read properties of undefined (reading 'further')",
  });
  await assert.rejects(t.ask((api, own) => own(api.returnUndefined()).further), { name: "TypeError" });
});

check("calling what is no function is a TypeError", BOTH, async (t) => {
  await assert.rejects(t.ask((api) => api.nowhere()), { name: "TypeError", message: "'nowhere' is not a function." });
  await assert.rejects(t.ask((api) => api.version()), { name: "TypeError", message: "'version' is not a function." });
  await assert.rejects(t.ask((api, own) => own(api.getUser()).name()), { name: "TypeError", message: "'name' is not a function." });
  await assert.rejects(t.ask((api, own) => own(api.getUser()).tags.push("y")), { name: "TypeError", message: "'tags.push' is not a function." });
});

check("a method read as a property is a callable", async (t) => {
  const square = t.own(await t.api.square);
  assert.equal(await square(6), 36);
});

check("a method read as a property knows its object", { notNode: "the reference calls it without `this`" }, async (t) => {
  const counter = t.own(await t.api.makeCounter(10));
  const increment = t.own(await counter.increment);
  assert.equal(await increment(5), 15);
  assert.equal(await counter.increment(1), 16);
});

check("a hundred calls are answered in one go", BOTH, async (t) => {
  const squares = await t.ask((api) => Promise.all(Array.from({ length: 100 }, (_, i) => api.square(i))));
  assert.deepEqual(squares, Array.from({ length: 100 }, (_, i) => i * i));
});

check("five thousand calls are in flight at once", { seconds: 20 }, async (t) => {
  const squares = await Promise.all(Array.from({ length: 5000 }, (_, i) => t.api.square(i)));
  assert.deepEqual(squares, Array.from({ length: 5000 }, (_, i) => i * i));
});

check("both sides flood each other", { seconds: 20 }, async (t) => {
  const text = "x".repeat(1000);
  const back = t.api.probe.callMany((i) => [i, text], 5000);
  const there = Array.from({ length: 5000 }, (_, i) => t.api.echo([i, text]));
  assert.equal((await back).length, 5000);
  assert.equal((await Promise.all(there)).length, 5000);
});

check("a call that waits holds up no other", async (t) => {
  const finished = [];
  const slow = t.api.sleep(300).then(() => finished.push("sleep"));
  await t.api.ping().then(() => finished.push("ping"));
  await t.api.sleep(1).then(() => finished.push("nap"));
  await slow;
  assert.deepEqual(finished, ["ping", "nap", "sleep"]);
});

check("every path serves", { over: ["batch"] }, async (t) => {
  for (const path of ["/", "/api", "/a/b/c?x=1&y=2"]) {
    assert.equal(await t.batch(path).square(4), 16);
  }
});

check("a callback is called as often as it is asked for, in order", async (t) => {
  const events = [];
  await t.api.subscribe((i) => void events.push(i), 50);
  assert.deepEqual(events, Array.from({ length: 50 }, (_, i) => i));
});

check("calls that nobody awaits arrive all the same", async (t) => {
  const COUNT = 2000;
  let heard = 0;
  let all;
  const arrived = new Promise((resolve) => (all = resolve));
  const count = (text) => {
    assert.equal(text.length, 300);
    heard += 1;
    if (heard === COUNT) all();
  };
  assert.equal(await t.api.flood(count, COUNT, 300), COUNT);
  await arrived;
  assert.equal(heard, COUNT);
});

check(
  "a subscriber that has stopped reading is left behind, and the others hear everything",
  { notNode: "its server has no list of subscribers" },
  async (t) => {
    const topic = `watchers ${Math.random()}`;
    const heard = [];
    t.own(await t.api.probe.watch(topic, (n) => void heard.push(n)));
    const there = t.connect();
    let last;
    t.own(await there.api.probe.watch(topic, (n) => {
      last = n;
      if (n === 99) throw new Error("enough");
    }));
    const deaf = t.raw();
    await deaf.send(["push", ["pipeline", 0, ["probe", "watch"], [topic, ["export", -1]]]], ["pull", 1]);
    await deaf.outcome(1);
    deaf.pause();
    assert.equal(await t.api.probe.announce(topic, 500), 1);
    assert.deepEqual(heard, Array.from({ length: 500 }, (_, n) => n));
    // Calls may have been under way when the first of them failed.
    assert.ok(last >= 99 && last < 99 + 16, `${last}`);
    deaf.resume();
    for (let n = 0; n < 16; n++) assert.deepEqual((await deaf.nextOf("push"))[1], ["pipeline", -1, [], [n]]);
    assert.deepEqual(await deaf.nextOf("release"), ["release", -1, 1]);
  },
);

check("a list of many objects", BOTH, async (t) => {
  const counters = await t.ask((api) => api.getMany(20));
  assert.equal(counters.length, 20);
  for (const counter of counters) counter[Symbol.dispose]();
});

check("each of many objects is one of its own", async (t) => {
  const counters = await t.api.getMany(5);
  const values = await Promise.all(counters.map((counter) => counter.increment(10)));
  assert.deepEqual(values, [10, 11, 12, 13, 14]);
  for (const counter of counters) counter[Symbol.dispose]();
});
