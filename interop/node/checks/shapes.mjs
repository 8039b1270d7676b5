// Values in objects that serde reads in its different ways (tagged, untagged, flattened), decoded and
// undecoded: none changes on the way.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("shapes");

const RUST = { over: ["ws", "batch"], notNode: "the shapes are serde's", notProxy: "the peer is a Node server" };

const values = {
  "nothing": [null, undefined],
  "booleans and strings": [true, "", "text", 'quotes " and \\', "https://example.com/", "ключ"],
  numbers: [0, -1, 1.5, 2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 60, -(2 ** 60), 2 ** 64, 1e300, NaN, Infinity, -Infinity],
  bigints: [0n, 7n, -7n, -5_000_000_000n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 64n), 10n ** 50n],
  dates: [new Date(0), new Date(1_700_000_000_123), new Date(-1), new Date(NaN)],
  bytes: [
    new Uint8Array([]),
    new Uint8Array([1, 2, 255]),
    new Uint8Array(70_000).fill(7),
    new Uint8Array([1, 2, 3]).buffer,
    new DataView(new Uint8Array([1, 2]).buffer),
    new Float32Array([0.5, -2]),
    new BigInt64Array([-1n]),
  ],
  URLs: [new URL("https://example.com/a b?c=d#e"), new URL("https://example.com/?a\\b"), new URL("data:text/plain,hi")],
  "arrays and objects": [[], [[1n, new Date(1)], undefined], {}, { a: { b: [2n ** 60n, new Date(2), { c: undefined }] }, name: "x" }],
};

/** What each method takes, with `value` in it. */
const shapes = {
  plain: (value) => ({ key: "k", value }),
  tagged: (value) => ({ type: "changed", key: "k", value }),
  "tagged, its tag last": (value) => ({ value, key: "k", type: "changed" }),
  adjacent: (value) => ({ type: "changed", data: { key: "k", value } }),
  "adjacent, its content first": (value) => ({ data: { value, key: "k" }, type: "changed" }),
  untagged: (value) => ({ key: "k", value }),
  "untagged, in a list": (value) => [{ key: "k", value }, { value, key: "k" }],
  flattened: (value) => ({ value, key: "k" }),
  generic: (value) => ({ key: "k", value, type: "changed" }),
};

/** Sends a value through a method of `api.shapes()` or `api.payloads()`. */
async function through(t, object, shape, sent) {
  const [method] = shape.split(",");
  let stub;
  try {
    return await t.ask((api) => {
      stub = api[object]();
      return stub[method](sent);
    });
  } finally {
    stub[Symbol.dispose]();
  }
}

for (const shape of Object.keys(shapes)) {
  for (const object of ["shapes", "payloads"]) {
    for (const [kind, examples] of Object.entries(values)) {
      check(`${kind} in ${shape} (${object})`, RUST, async (t) => {
        for (const value of examples) {
          const sent = shapes[shape](value);
          const back = await through(t, object, shape, sent);
          assert.deepEqual(asPlain(back), asPlain(sent));
        }
      });
    }

    check(`errors in ${shape} (${object})`, RUST, async (t) => {
      const error = Object.assign(new RangeError("no"), { code: 7n, at: new Date(3) });
      let back = await through(t, object, shape, shapes[shape](error));
      if (Array.isArray(back)) back = back[1];
      const { value } = back.data ?? back;
      assert.ok(value instanceof RangeError);
      assert.deepEqual([value.message, value.code, value.at.getTime()], ["no", 7n, 3]);
    });

    check(`stubs and functions in ${shape} (${object})`, { ...RUST, over: ["ws"] }, async (t) => {
      const sent = shapes[shape]({ nested: [(x) => x + 1] });
      const all = await through(t, object, shape, sent);
      const back = Array.isArray(all) ? all[1] : all;
      const { value } = back.data ?? back;
      assert.equal(await value.nested[0](4), 5);
      all[Symbol.dispose]();
    });
  }
}

/** What says everything about a value, comparable by content. */
function asPlain(value) {
  if (value instanceof ArrayBuffer) return { buffer: Buffer.from(value).toString("hex") };
  if (value instanceof DataView) {
    return { view: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex") };
  }
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (ArrayBuffer.isView(value)) return { [value.constructor.name]: [...value] };
  if (value instanceof URL) return { url: value.href };
  if (value instanceof Date) return { date: value.getTime() };
  if (Array.isArray(value)) return value.map(asPlain);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asPlain(inner)]));
  }
  return value;
}
