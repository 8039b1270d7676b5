// Every value that JavaScript can put on the wire: handed through undecoded (`echo`), decoded and
// encoded again (`decode`), and as the peer saw it (`describe`).

import assert from "node:assert/strict";
import { describe } from "../describe.mjs";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("values");

const values = {
  "null and undefined": [null, undefined],
  booleans: [true, false],
  numbers: [0, 1, -1, 1.5, 1e21, 1e-7, 123456789.123, 2 ** 53 - 1, -(2 ** 53 - 1), Number.MAX_VALUE, Number.MIN_VALUE, 0.1 + 0.2],
  "infinities and NaN": [Infinity, -Infinity, NaN],
  strings: ["", "plain", 'quotes " and \\', "\u0000\u0001\n\t", "ünïcödé", "🦀", "\u2028\u2029", "x".repeat(100_000)],
  bigints: [0n, -1n, 2n ** 63n, -(2n ** 64n), 10n ** 200n],
  dates: [new Date(0), new Date(1_700_000_000_123), new Date(-1), new Date(8.64e15), new Date(NaN)],
  bytes: [new Uint8Array([]), new Uint8Array([0]), new Uint8Array([1, 2]), new Uint8Array([255, 254, 253]), new Uint8Array(70_000).fill(7)],
  URLs: [new URL("https://example.com/a b?c=d#e"), new URL("data:text/plain,hi")],
  arrays: [[], [[]], [1, "two", [3, [4]]], [undefined, null], [["undefined"]], ["bigint", "5"], [["export", -1]]],
  objects: [{}, { a: 1, b: { c: [true] } }, { "": 0, "with space": 1, "ключ": 2 }, { gone: undefined, none: null }],
};

for (const [kind, examples] of Object.entries(values)) {
  check(`${kind} come back as they went`, BOTH, async (t) => {
    for (const value of examples) {
      assert.deepEqual(asPlain(await t.ask((api) => api.echo(value))), asPlain(value), "echo");
      assert.deepEqual(asPlain(await t.ask((api) => api.probe.decode(value))), asPlain(value), "decode");
    }
  });

  check(`${kind} are what the peer sees`, BOTH, async (t) => {
    for (const value of examples) {
      assert.equal(await t.ask((api) => api.probe.describe(value)), describe(value));
    }
  });

  check(`${kind} survive nested in one message`, BOTH, async (t) => {
    const nested = { list: examples, inner: { last: examples.at(-1) } };
    assert.deepEqual(asPlain(await t.ask((api) => api.echo(nested))), asPlain(nested));
    assert.deepEqual(asPlain(await t.ask((api) => api.probe.decode(nested))), asPlain(nested));
  });
}

check("the key order of an object is kept", BOTH, async (t) => {
  const value = { zebra: 1, apple: 2, mango: { y: 1, x: 2 } };
  for (const back of [await t.ask((api) => api.echo(value)), await t.ask((api) => api.probe.decode(value))]) {
    assert.deepEqual(Object.keys(back), ["zebra", "apple", "mango"]);
    assert.deepEqual(Object.keys(back.mango), ["y", "x"]);
  }
});

check("an array hole arrives as undefined", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api) => api.echo([1, , 3])), [1, undefined, 3]);
});

check("lone surrogates pass through undecoded and end nothing", BOTH, async (t) => {
  for (const text of ["\ud800", "a\udc00b", "\udfff\ud800", "ok \ud83e\udd80 then \ud83e"]) {
    assert.equal(await t.ask((api) => api.echo(text)), text);
    assert.deepEqual(await t.ask((api) => api.echo({ [text]: [text] })), { [text]: [text] });
  }
});

check("lone surrogates are decoded as U+FFFD", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.probe.describe("a\ud800b")), 'string "a\ufffdb"');
});

check("typed bytes keep their type when handed through", BOTH, async (t) => {
  const containers = [
    new Uint8Array([1, 2, 3]).buffer,
    new DataView(new Uint8Array([1, 2, 3]).buffer),
    new Int8Array([-1, 2]),
    new Uint8ClampedArray([1, 255]),
    new Int16Array([-1, 300]),
    new Uint16Array([1, 65535]),
    new Int32Array([-1, 70000]),
    new Uint32Array([1, 4_000_000_000]),
    new BigInt64Array([-1n, 2n]),
    new BigUint64Array([1n, 2n ** 64n - 1n]),
    new Float32Array([0.5, -2]),
    new Float64Array([0.1, Infinity]),
  ];
  for (const container of containers) {
    const back = await t.ask((api) => api.echo(container));
    assert.equal(Object.getPrototypeOf(back), Object.getPrototypeOf(container));
    assert.deepEqual(back, container);
  }
});

check("a Buffer arrives as bytes", BOTH, async (t) => {
  assert.deepEqual(asPlain(await t.ask((api) => api.probe.decode(Buffer.from("hi")))), asPlain(new Uint8Array([104, 105])));
});

check("values nest 200 deep", BOTH, async (t) => {
  let value = "bottom";
  for (let i = 0; i < 100; i += 1) value = { in: [value] };
  assert.deepEqual(asPlain(await t.ask((api) => api.echo(value))), value);
  assert.deepEqual(asPlain(await t.ask((api) => api.probe.decode(value))), value);
});

check("a message of a megabyte passes", BOTH, async (t) => {
  const text = "0123456789abcdef".repeat(65_536);
  assert.equal(await t.ask((api) => api.echo(text)), text);
});

check("what capnweb cannot serialize fails here and leaves the session alone", async (t) => {
  assert.throws(() => t.api.echo(Symbol("no")), TypeError);
  assert.throws(() => t.api.echo(new Map()), TypeError);
  assert.equal(await t.api.square(3), 9);
});

/**
 * Results carry a disposer, and bytes arrive as a Buffer on Node: strips both, so that only content
 * is compared. −0 is written as 0 by JavaScript, which no value here holds.
 */
function asPlain(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value instanceof URL) return { url: value.href };
  if (value instanceof Date) return { date: value.getTime() };
  if (Array.isArray(value)) return value.map(asPlain);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asPlain(inner)]));
  }
  return value;
}
