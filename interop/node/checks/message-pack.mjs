// Sessions whose messages are MessagePack, with bytes that are raw.

import assert from "node:assert/strict";
import { describe } from "../describe.mjs";
import { topic } from "../harness/registry.mjs";
import { countBytes, streamOf } from "../streams.mjs";

const topical = topic("message pack");
const check = (title, run) => topical(title, { notProxy: "the proxy's sessions are in JSON" }, (t) => run(t.connectPacked()));

const values = [
  null,
  undefined,
  true,
  [0, 1, -1, 127, 128, -33, 255, 256, 65536, -(2 ** 31), 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1), 1.5, 1e300, -0.1],
  [Infinity, -Infinity, NaN],
  ["", "ünïcödé 🦀", "x".repeat(70_000)],
  [0n, 10n ** 30n],
  new Date(1_700_000_000_123),
  new Uint8Array(0),
  new Uint8Array(100_000).fill(200),
  new Float32Array([1.5, -2]),
  new URL("https://example.com/a?b"),
  { a: { b: [[["deep"]]] }, "": 1, bytes: ["bytes", "AQID"], list: Array.from({ length: 20 }, (_, i) => i) },
];

check("values come back as they went", async ({ api }) => {
  for (const value of values) {
    assert.equal(describe(await api.echo(value)), describe(value));
    assert.equal(describe(await api.probe.decode(value)), describe(value));
    assert.equal(await api.probe.describe(value), describe(value));
  }
});

check("strings that look like bytes are strings", async ({ api }) => {
  assert.deepEqual(await api.echoArgs("bytes", "AQID"), ["bytes", "AQID"]);
  assert.deepEqual(await api.echo(["bytes", "AQID"]), ["bytes", "AQID"]);
});

check("calls, pipelines, callbacks and maps", async ({ api }) => {
  const nine = api.square(3);
  assert.equal(await api.square(nine), 81);
  const counter = api.makeCounter(4);
  assert.equal(await counter.increment(2), 6);
  counter[Symbol.dispose]();
  assert.deepEqual(await api.callFunction((x) => x * 2, 21), { result: 42 });
  const list = api.list(4);
  const squares = await list.map((i) => api.square(i));
  assert.deepEqual([...squares], [0, 1, 4, 9]);
  for (const disposable of [nine, list, squares]) disposable[Symbol.dispose]();
});

check("errors with properties", async ({ api }) => {
  await assert.rejects(Promise.resolve(api.fail("no")), { name: "RangeError", message: "no" });
  const error = await api.echo(Object.assign(new TypeError("m"), { data: new Uint8Array([1, 2]) }));
  assert.deepEqual([error.name, [...error.data]], ["TypeError", [1, 2]]);
});

check("streams and blobs", async ({ api }) => {
  const stream = streamOf(100, () => new Uint8Array(10_000).fill(7));
  assert.equal(await api.countBytes(stream), 1_000_000);
  assert.equal(await countBytes(await api.readable(100, 10_000)), 1_000_000);
  const blob = await api.echoBlob(new Blob(["hello"], { type: "a/b" }));
  assert.deepEqual([blob.type, await blob.text()], ["a/b", "hello"]);
  assert.equal(await (await api.makeResponse("hi")).text(), "hi");
});
