// Everything that is sent is written, once and in order, whenever it is sent.

import assert from "node:assert/strict";
import { WebTransportTransport } from "../capnweb-webtransport.js";
import { FakeConnection, microtasks, random, settled } from "./fake.mjs";
import { topic } from "./registry.mjs";

const check = topic("writing");

check("the first thing written is a blank line", async () => {
  const connection = new FakeConnection();
  const transport = new WebTransportTransport(connection);
  await settled();
  assert.equal(connection.taken, "\n");
  transport.send("a");
  await settled();
  assert.equal(connection.taken, "\na\n");
});

check("two sends are written, at any distance and whatever a write takes", async () => {
  for (let duration = 0; duration <= 6; duration++) {
    for (let before = 0; before <= 12; before++) {
      for (let distance = 0; distance <= 12; distance++) {
        const connection = new FakeConnection({ write: () => microtasks(duration) });
        const transport = new WebTransportTransport(connection);
        if (before === 12) await settled();
        else await microtasks(before);
        transport.send("a");
        await microtasks(distance);
        transport.send("b");
        await settled();
        assert.equal(connection.taken, "\na\nb\n", `a write of ${duration} turns, sends after ${before} and ${distance}`);
      }
    }
  }
});

check("sends at random distances are written in order", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const next = random(seed);
    const pauses = [() => microtasks(next(13)), () => microtasks(next(4)), () => new Promise((resolve) => setImmediate(resolve))];
    const connection = new FakeConnection({ write: () => pauses[next(3)]() });
    const transport = new WebTransportTransport(connection);
    const sent = [];
    for (let n = 0; n < 40; n++) {
      sent.push(`message ${n}`);
      transport.send(sent.at(-1));
      if (next(3) > 0) await pauses[next(3)]();
    }
    await connectionTook(connection, sent.length);
    assert.deepEqual(connection.messages, sent, `seed ${seed}`);
  }
});

check("a send from within a write is written", async () => {
  const connection = new FakeConnection({
    write: (n) => {
      if (n < 5) transport.send(`from write ${n}`);
    },
  });
  const transport = new WebTransportTransport(connection);
  await settled();
  assert.deepEqual(connection.messages, [0, 1, 2, 3, 4].map((n) => `from write ${n}`));
});

check("what gathers during a write goes out in one piece", async () => {
  let release;
  const connection = new FakeConnection({ write: (n) => (n === 1 ? new Promise((resolve) => (release = resolve)) : undefined) });
  const transport = new WebTransportTransport(connection);
  await settled();
  for (let n = 0; n < 100; n++) {
    transport.send(`${n}`);
    await microtasks(n % 3);
  }
  await settled();
  assert.equal(connection.writes.length, 1, "there is one write at a time");
  release();
  await settled();
  assert.deepEqual(connection.messages, Array.from({ length: 100 }, (_, n) => `${n}`));
  assert.ok(connection.writes.length <= 3, `${connection.writes.length} writes`);
});

check("a long message, and many, are written in writes of 64 KiB", async () => {
  const connection = new FakeConnection();
  const transport = new WebTransportTransport(connection);
  const long = "ä€😀".repeat(50_000);
  const many = Array.from({ length: 20_000 }, (_, n) => `message ${n}`);
  transport.send(long);
  for (const message of many) transport.send(message);
  await connectionTook(connection, 1 + many.length);
  assert.deepEqual(connection.messages, [long, ...many]);
  assert.ok(Math.max(...connection.writes) <= 65_536, `${Math.max(...connection.writes)} bytes`);
});

check("nothing is written while the peer takes nothing, and all of it after that", async () => {
  const held = [];
  const connection = new FakeConnection({ write: () => new Promise((resolve) => held.push(resolve)) });
  const transport = new WebTransportTransport(connection);
  for (let n = 0; n < 10; n++) {
    transport.send(`${n}`);
    await settled();
  }
  assert.equal(held.length, 1);
  while (held.length > 0) {
    held.shift()();
    await settled();
  }
  assert.deepEqual(connection.messages, Array.from({ length: 10 }, (_, n) => `${n}`));
});

/** Waits until so many messages were taken, for as long as there is progress. */
async function connectionTook(connection, count) {
  for (let before = -1; before < connection.taken.length && connection.messages.length < count; ) {
    before = connection.taken.length;
    await settled();
  }
}
