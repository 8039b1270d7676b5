// Streams, both ways.

import assert from "node:assert/strict";
import { BOTH, topic } from "../harness/registry.mjs";
import { countBytes, streamOf } from "../streams.mjs";

const check = topic("streams");

const bytes = (n, size) => streamOf(n, (i) => new Uint8Array(size).fill(i));
const text = (...chunks) => streamOf(chunks.length, (i) => chunks[i]);

async function chunksOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** A result that is a stream, in a batch: all of it is in the answer. */
const IN_BATCH = { over: ["batch"], notNode: "the reference cuts streams in an answer off" };

for (const [where, conditions] of [["", {}], [" in a batch", IN_BATCH]]) {
  check(`a result is read${where}`, conditions, async (t) => {
    const chunks = await chunksOf(await t.ask((api) => api.readable(5, 1000)));
    assert.deepEqual(chunks.map((chunk) => [chunk.length, chunk[0], chunk[999]]), [0, 1, 2, 3, 4].map((i) => [1000, i, i]));
  });

  check(`a result of strings is read${where}`, conditions, async (t) => {
    assert.deepEqual(await chunksOf(await t.ask((api) => api.getStream())), ["hi"]);
  });

  check(`a large result is read${where}`, conditions, async (t) => {
    assert.equal(await countBytes(await t.ask((api) => api.readable(100, 10_000))), 1_000_000);
  });
}

check("an empty stream is read", BOTH, async (t) => {
  assert.deepEqual(await chunksOf(await t.ask((api) => api.readable(0, 1))), []);
  assert.equal(await t.ask((api) => api.countBytes(bytes(0, 1))), 0);
});

check("an argument is read", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.countBytes(bytes(10, 5000))), 50_000);
  assert.equal(await t.ask((api) => api.readAll(text("one ", "two ", "three"))), "one two three");
});

check("megabytes are read, there and here", async (t) => {
  assert.equal(await t.api.countBytes(bytes(500, 20_000)), 10_000_000);
  assert.equal(await countBytes(await t.api.readable(500, 20_000)), 10_000_000);
});

check("a stream goes there and back", async (t) => {
  assert.deepEqual(await chunksOf(await t.api.echoStream(text("a", "b", "c"))), ["a", "b", "c"]);
  assert.equal(await countBytes(await t.api.echoStream(bytes(100, 10_000))), 1_000_000);
});

check("a promise of a stream is an argument", BOTH, async (t) => {
  assert.equal(await t.ask((api, own) => api.readAll(own(api.getStream()))), "hi");
});

check("the peer writes to a stream of ours", async (t) => {
  const chunks = [];
  let closed = false;
  await t.api.writeTo(
    new WritableStream({
      write: (chunk) => void chunks.push(chunk),
      close: () => void (closed = true),
    }),
  );
  assert.deepEqual(chunks, ["hi"]);
  assert.ok(closed);
});

check("we write to a stream of the peer's", async (t) => {
  const writer = (await t.api.writable()).getWriter();
  for (let i = 0; i < 100; i++) await writer.write(new Uint8Array(10_000));
  await writer.write("and a string");
  await writer.close();
});

check("many streams at once, with calls between", async (t) => {
  const counts = Array.from({ length: 20 }, (_, i) => t.api.countBytes(bytes(20 + i, 1000)));
  const reads = Array.from({ length: 20 }, async (_, i) => countBytes(await t.api.readable(20 + i, 1000)));
  const squares = Array.from({ length: 20 }, (_, i) => t.api.square(i));
  const expected = Array.from({ length: 20 }, (_, i) => (20 + i) * 1000);
  assert.deepEqual(await Promise.all(counts), expected);
  assert.deepEqual(await Promise.all(reads), expected);
  assert.deepEqual(await Promise.all(squares), squares.map((_, i) => i * i));
});

check("chunks are any values", async (t) => {
  const chunks = [1, "two", [3, [4]], { five: 5 }, null, 6n, new Date(7), new URL("https://example.com/8")];
  assert.deepEqual(await chunksOf(await t.api.echoStream(text(...chunks))), chunks);
});

check("objects of the peer in chunks are called", async (t) => {
  let sum = 0;
  for await (const counter of await t.api.probe.streams.counterStream(5)) {
    sum += await counter.increment(10);
    counter[Symbol.dispose]();
  }
  assert.equal(sum, 60);
  await t.until("the counters are gone", async () => (await t.api.probe.live()).counters === 0);
});

check("objects of ours in chunks are called", async (t) => {
  const counters = Array.from({ length: 5 }, (_, i) => t.own(t.api.makeCounter(i)));
  const counterStubs = await Promise.all(counters);
  assert.equal(await t.api.probe.streams.sumCounters(streamOf(5, (i) => counterStubs[i])), 15);
  for (const stub of counterStubs) stub[Symbol.dispose]();
});

check("an error in the stream of the peer arrives", async (t) => {
  const stream = await t.api.probe.streams.failingStream(2);
  await assert.rejects(chunksOf(stream), { name: "RangeError", message: "out of chunks" });
});

check("an error in a stream of ours arrives", async (t) => {
  const failing = streamOf(1, () => "chunk", (controller) => controller.error(new RangeError("out of chunks")));
  await assert.rejects(Promise.resolve(t.api.readAll(failing)), { name: "RangeError", message: "out of chunks" });
});

check("a peer that breaks off writing gives its reason", async (t) => {
  const chunks = [];
  let reason;
  await t.api.probe.streams.writeThenAbort(
    new WritableStream({
      write: (chunk) => void chunks.push(chunk),
      abort: (error) => void (reason = error),
    }),
    3,
  );
  await t.until("the stream is broken off", () => reason);
  assert.equal(reason.message, "gave up");
});

check("a writable of the peer that fails gives its reason", async (t) => {
  const writer = (await t.api.probe.streams.failingWritable(2)).getWriter();
  writer.closed.catch(() => {});
  const writeAll = async () => {
    for (let i = 0; i < 1000; i++) await writer.write(i);
    await writer.close();
  };
  await assert.rejects(writeAll(), { name: "RangeError", message: "no more room" });
});

check("a reader that stops cancels our stream", async (t) => {
  let canceled;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue("x".repeat(1000)),
    cancel: (reason) => void (canceled = reason),
  });
  await t.api.probe.streams.readThenCancel(endless, 3);
  await t.until("our stream is canceled", () => canceled);
});

check("a stream that we do not read on is canceled", async (t) => {
  for await (const chunk of await t.api.readable(1_000_000, 1000)) {
    assert.equal(chunk.length, 1000);
    break;
  }
});

check("an argument that is not read is canceled", async (t) => {
  let canceled = false;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue("x".repeat(1000)),
    cancel: () => void (canceled = true),
  });
  await t.api.ping(endless);
  await t.until("our stream is canceled", () => canceled);
});

check("a slow reader holds our stream up, and no calls", async (t) => {
  let made = 0;
  const stream = streamOf(1000, () => {
    made += 1;
    return new Uint8Array(10_000);
  });
  const counted = t.api.probe.streams.readWhenTold(stream);
  await t.until("something is sent", () => made > 10);
  for (let i = 0; i < 20; i++) assert.equal(await t.api.square(i), i * i);
  // 256 KiB is the first window, and base64 takes a third more.
  const then = made;
  assert.ok(then < 100, `${then} chunks`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(made <= then + 30, `${made} chunks, ${then} before`);
  await t.api.probe.streams.go();
  assert.equal(await counted, 10_000_000);
});

check("a reader that is slow gets all there is", async (t) => {
  assert.equal(await t.api.probe.streams.readSlowly(bytes(20, 50_000), 2), 1_000_000);
});

check("a session that ends breaks its streams", async (t) => {
  const other = t.connect();
  let canceled = false;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue("x".repeat(1000)),
    cancel: () => void (canceled = true),
  });
  const call = Promise.resolve(other.api.probe.streams.readWhenTold(endless));
  call.catch(() => {});
  const stream = await other.api.readable(1_000_000, 1000);
  await other.api.square(1);
  other.api[Symbol.dispose]();
  await assert.rejects(call);
  await assert.rejects(chunksOf(stream));
  await t.until("our stream is canceled", () => canceled);
});
