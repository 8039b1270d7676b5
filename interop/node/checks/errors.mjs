import assert from "node:assert/strict";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("errors");

check("name and message arrive", BOTH, async (t) => {
  await assert.rejects(t.ask((api) => api.throwError()), (error) => {
    assert.ok(error instanceof RangeError);
    assert.equal(error.message, "test error");
    return true;
  });
  await assert.rejects(t.ask((api) => api.fail("my own words: ü \ud83e\udd80")), { name: "RangeError", message: "my own words: ü \ud83e\udd80" });
});

check("the stack stays hidden", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["throwError"], []]], ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["reject", 1, ["error", "RangeError", "test error"]]);
});

function assertRich(error) {
  assert.ok(error instanceof RangeError);
  assert.equal(error.message, "out of reach");
  assert.equal(error.code, "E_REACH");
  assert.deepEqual(error.data, { list: [1, 2], when: new Date(0) });
  assert.ok(error.cause instanceof TypeError);
  assert.equal(error.cause.message, "the reason");
  return true;
}

check("props and cause arrive with a thrown error", BOTH, async (t) => {
  await assert.rejects(t.ask((api) => api.probe.rich()), assertRich);
});

check("props and cause arrive with an error as a value", BOTH, async (t) => {
  assertRich(await t.ask((api) => api.probe.richValue()));
  assertRich((await t.ask((api, own) => api.echoArgs(own(api.probe.richValue()))))[0]);
});

check("an error type of the peer's own has a code and properties", BOTH, async (t) => {
  const moods = [
    ["unavailable", Error, "busy, try again in 30 s", 30],
    ["not_found", RangeError, "no such mood", 5],
    ["internal", Error, "internal error", undefined],
    ["new", Error, "in a mood: new", 1],
  ];
  for (const [code, kind, message, retryAfter] of moods) {
    await assert.rejects(t.ask((api) => api.moody(code)), (error) => {
      assert.equal(Object.getPrototypeOf(error), kind.prototype);
      assert.deepEqual([error.message, error.code, error.retryAfter], [message, code, retryAfter]);
      return true;
    });
  }
});

check("an AggregateError brings its errors", BOTH, async (t) => {
  await assert.rejects(t.ask((api) => api.probe.aggregate()), (error) => {
    assert.ok(error instanceof AggregateError);
    assert.equal(error.message, "several");
    assert.deepEqual(error.errors.map((inner) => [inner.name, inner.message]), [["TypeError", "first"], ["RangeError", "second"]]);
    return true;
  });
});

check("errors as arguments come back, decoded or not", BOTH, async (t) => {
  const error = Object.assign(new TypeError("sent", { cause: new Error("inner") }), { code: 42, nested: { list: [1n] } });
  for (const method of [(api) => api.echo(error), (api) => api.probe.decode(error)]) {
    const back = await t.ask(method);
    assert.ok(back instanceof TypeError);
    assert.equal(back.message, "sent");
    assert.equal(back.code, 42);
    assert.deepEqual(back.nested, { list: [1n] });
    assert.equal(back.cause.message, "inner");
  }
  const several = await t.ask((api) => api.probe.decode(new AggregateError([new RangeError("one")], "all")));
  assert.ok(several instanceof AggregateError);
  assert.equal(several.errors[0].message, "one");
});

check("the peer sees name, message and props", BOTH, async (t) => {
  const error = Object.assign(new RangeError("sent"), { code: "E_X" });
  assert.equal(await t.ask((api) => api.probe.describe(error)), 'error RangeError: sent {code: string "E_X"}');
});

check("each of the known error names keeps its class", BOTH, async (t) => {
  for (const kind of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
    const back = await t.ask((api) => api.probe.decode(new kind("k")));
    assert.equal(Object.getPrototypeOf(back), kind.prototype);
  }
});

check("a custom error name travels through the peer", async (t) => {
  const peer = t.raw();
  await peer.send('["push",["pipeline",0,["probe","describe"],[["error","MyError","m"]]]]', ["pull", 1]);
  const [, , text] = await peer.outcome(1);
  assert.match(text, /^error (MyError|Error): m$/);
});

check("a custom error name is what the peer sees", { notNode: "JavaScript reads it as a plain Error" }, async (t) => {
  const peer = t.raw();
  await peer.send('["push",["pipeline",0,["probe","describe"],[["error","MyError","m"]]]]', ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, "error MyError: m"]);
});

check("an error as an argument may carry a stub", async (t) => {
  const error = Object.assign(new Error("carrier"), { f: (x) => x + 1 });
  assert.equal(await t.api.probe.describe(error), "error Error: carrier {f: stub}");
});

check("an error that comes back brings its stub", { notNode: "the reference disposes of it with the arguments" }, async (t) => {
  const error = Object.assign(new Error("carrier"), { f: (x) => x + 1 });
  for (const method of [t.api.echo, t.api.probe.decode]) {
    const back = t.own(await method(error));
    assert.equal(await back.f(1), 2);
  }
});

check("whatever our side throws reaches the caller over there and comes back", async (t) => {
  await assert.rejects(t.ask((api) => api.callFunction(() => { throw new SyntaxError("ours"); }, 1)), { name: "SyntaxError", message: "ours" });
  await assert.rejects(t.ask((api) => api.callBack(async () => { throw Object.assign(new Error("coded"), { code: 7 }); }, 1)), { message: "coded", code: 7 });
});

check("a value that is no error can be thrown through the peer", async (t) => {
  for (const thrown of ["plain string", 5, undefined, null, { code: 1 }]) {
    const outcome = await t.api.callFunction(() => { throw thrown; }, 1).then(
      () => assert.fail("nothing was thrown"),
      (reason) => reason,
    );
    if (outcome instanceof Error) {
      assert.ok(typeof outcome.message === "string");
    } else {
      assert.deepEqual(outcome, thrown);
    }
  }
  assert.equal(await t.api.square(2), 4);
});

check("a failed call fails what depends on it", BOTH, async (t) => {
  await assert.rejects(t.ask((api, own) => own(api.fail("root")).a.b.c), { name: "RangeError", message: "root" });
  await assert.rejects(t.ask((api, own) => own(api.fail("root")).method(1)), { name: "RangeError", message: "root" });
  await assert.rejects(t.ask((api, own) => api.square(own(api.fail("argument")))), { name: "RangeError", message: "argument" });
  await assert.rejects(t.ask((api, own) => api.echo({ deep: [own(api.fail("deep"))] })), { name: "RangeError", message: "deep" });
});

check("a promise inside a result that rejects, rejects the result", BOTH, async (t) => {
  await assert.rejects(t.ask((api) => api.probe.broken("inside")), { name: "RangeError", message: "inside" });
});

check("a call that fails unread disturbs nothing", async (t) => {
  t.own(t.api.fail("nobody looks"));
  assert.equal(await t.api.square(2), 4);
});
