// Typed arrays and the other containers of bytes.

import assert from "node:assert/strict";
import { describe } from "../describe.mjs";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("typed bytes");

const containers = [
  new ArrayBuffer(5),
  new Uint8Array([1, 2, 3]).buffer,
  new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2),
  new Int8Array([-1, 127]),
  new Uint8Array([255]),
  new Uint8ClampedArray([0, 255]),
  new Int16Array([-2, 1]),
  new Uint16Array([65535]),
  new Int32Array([-(2 ** 31)]),
  new Uint32Array([2 ** 32 - 1]),
  new BigInt64Array([-(2n ** 63n)]),
  new BigUint64Array([2n ** 64n - 1n]),
  new Float32Array([1.5, Infinity]),
  new Float64Array([0.1, NaN, -0]),
  new Float64Array(0),
  new Float32Array(new Float32Array([1, 2, 3, 4]).buffer, 4, 2),
];

const bytes = (value) => Buffer.from(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength).toString("hex");

for (const value of containers) {
  const name = `${value.constructor.name} of ${value.byteLength} bytes`;
  check(`a ${name} comes back as it went`, BOTH, async (t) => {
    for (const back of [await t.ask((api) => api.echo(value)), await t.ask((api) => api.probe.decode(value))]) {
      // Node's own bytes are a subclass of Uint8Array.
      assert.ok(back instanceof value.constructor, back.constructor.name);
      assert.equal(bytes(back), bytes(value));
    }
  });

  check(`a ${name} is what the peer sees`, BOTH, async (t) => {
    assert.equal(await t.ask((api) => api.probe.describe(value)), describe(value));
  });
}

check("they survive nested in one message", BOTH, async (t) => {
  const back = await t.ask((api) => api.probe.decode({ list: containers }));
  assert.deepEqual(back.list.map(bytes), containers.map(bytes));
});
