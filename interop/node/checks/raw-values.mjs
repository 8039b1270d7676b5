// Values as no JavaScript application writes them, though a peer may: sent as literal frames.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("raw values");

/** What the peer makes of one expression, given as the literal text of the frame. */
async function described(t, expression) {
  const peer = t.raw();
  await peer.send(`["push",["pipeline",0,["probe","describe"],[${expression}]]]`, ["pull", 1]);
  const [tag, , text] = await peer.outcome(1);
  assert.equal(tag, "resolve", `${expression}: ${JSON.stringify(text)}`);
  return text;
}

const readings = {
  // numbers
  "1e400": "number Infinity",
  "-1e400": "number -Infinity",
  "-0": "number -0",
  "1E2": "number 100",
  "0.1e1": "number 1",
  "9007199254740993": "number 9007199254740992",
  '["inf"]': "number Infinity",
  '["-inf"]': "number -Infinity",
  '["nan"]': "number NaN",
  '["undefined"]': "undefined",
  // strings and white space
  '"\\u00e9\\ud83e\\udd80\\/"': 'string "é🦀/"',
  ' { "a" :\t[ [ 1 , 2 ] ] } ': "{a: [number 1, number 2]}",
  // keys
  '{"a":1,"a":2}': "{a: number 2}",
  '{"\\u0061":1}': "{a: number 1}",
  // bigints, dates, bytes
  '["bigint","-12345678901234567890"]': "bigint -12345678901234567890",
  '["date",12]': "date 12",
  '["date",1.9]': "date 1",
  '["date",-1.9]': "date -1",
  '["date",null]': "date invalid",
  '["date",8.64e15]': "date 8640000000000000",
  '["date",8640000000000001]': "date invalid",
  '["bytes","aGk="]': "bytes 6869",
  '["bytes","aGk"]': "bytes 6869",
  '["bytes","-_8"]': "bytes fbff",
  '["bytes","+/8="]': "bytes fbff",
  '["bytes",""]': "bytes ",
  // errors and URLs
  '["error","RangeError","m"]': "error RangeError: m",
  '["error","RangeError","m",null]': "error RangeError: m",
  '["error","TypeError","m",null,{"code":5}]': "error TypeError: m {code: number 5}",
  '["url","https://example.com"]': "url https://example.com/",
};

for (const [expression, text] of Object.entries(readings)) {
  check(`${expression} is read as ${text}`, async (t) => {
    assert.equal(await described(t, expression), text);
  });
}

check("keys of Object.prototype and toJSON are dropped", async (t) => {
  const names = [
    "__proto__", "constructor", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable",
    "toLocaleString", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "toJSON",
  ];
  const object = `{"first":1,${names.map((name) => `"${name}":2`).join(",")},"last":3}`;
  assert.equal(await described(t, object), "{first: number 1, last: number 3}");
  assert.equal(await described(t, `["error","Error","m",null,${object}]`), "error Error: m {first: number 1, last: number 3}");
});

check("a stub under a dropped key is released", async (t) => {
  const peer = t.raw();
  await peer.send('["push",["pipeline",0,["probe","describe"],[{"__proto__":["export",-1],"a":["export",-2]}]]]', ["pull", 1]);
  const released = new Set();
  let text;
  while (released.size < 2 || text === undefined) {
    const message = await peer.next();
    if (message[0] === "release") released.add(message[1]);
    if (message[0] === "resolve") text = message[2];
    assert.notEqual(message[0], "abort");
  }
  assert.deepEqual(released, new Set([-1, -2]));
  assert.equal(text, "{a: stub}");
});

check("a path step of an Object.prototype name leads to undefined", async (t) => {
  const peer = t.raw();
  await peer.send(
    ["push", ["pipeline", 0, ["constructor"]]], ["pull", 1],
    ["push", ["pipeline", 0, ["__proto__", "x"]]], ["pull", 2],
    ["push", ["pipeline", 0, ["hasOwnProperty"], ["x"]]], ["pull", 3],
  );
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, ["undefined"]]);
  const [tag, , error] = await peer.outcome(2);
  assert.deepEqual([tag, error[1]], ["reject", "TypeError"]);
  const [called, , notFunction] = await peer.outcome(3);
  assert.deepEqual([called, notFunction[1], notFunction[2]], ["reject", "TypeError", "'hasOwnProperty' is not a function."]);
});

check("number text that a double cannot hold comes back as the same number", async (t) => {
  const peer = t.raw();
  await peer.send('["push",["pipeline",0,["echo"],[[[1e400,-1e400,0.1,1e21]]]]]', ["pull", 1]);
  const [, , [numbers]] = await peer.outcome(1);
  const read = numbers.map((n) => (Array.isArray(n) ? { inf: Infinity, "-inf": -Infinity }[n[0]] : n));
  assert.deepEqual(read, [Infinity, -Infinity, 0.1, 1e21]);
});
