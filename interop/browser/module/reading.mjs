// Messages are the lines that arrive, however they are cut.

import assert from "node:assert/strict";
import { WebTransportTransport } from "../capnweb-webtransport.js";
import { FakeConnection, microtasks, random, settled } from "./fake.mjs";
import { topic } from "./registry.mjs";

const check = topic("reading");
const CLOSED = { message: "Peer closed WebTransport." };

function connected(limits) {
  const connection = new FakeConnection();
  return { connection, transport: new WebTransportTransport(connection, undefined, limits) };
}

/** Everything that is received, and the reason of the end. */
async function receiveAll(transport) {
  const messages = [];
  for (;;) {
    try {
      messages.push(await transport.receive());
    } catch (reason) {
      return { messages, reason };
    }
  }
}

check("a message may be cut anywhere, even within a character", async () => {
  const bytes = new TextEncoder().encode('["ä€😀"]\n\n  \r\n[2]\r\n[3]');
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const { connection, transport } = connected();
      for (const piece of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]) {
        if (piece.length > 0) connection.deliver(piece);
      }
      connection.finish();
      const { messages, reason } = await receiveAll(transport);
      assert.deepEqual(messages.map((message) => message.trim()), ['["ä€😀"]', "[2]", "[3]"]);
      assert.equal(reason.message, CLOSED.message);
    }
  }
});

check("messages come in order, at any distance", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const next = random(seed);
    const { connection, transport } = connected();
    const receiving = receiveAll(transport);
    const sent = Array.from({ length: 60 }, (_, n) => `message ${n} ${"x".repeat(next(50))}`);
    let left = `${sent.join("\n")}\n`;
    while (left !== "") {
      const cut = 1 + next(80);
      connection.deliver(left.slice(0, cut));
      left = left.slice(cut);
      if (next(2) > 0) await microtasks(next(13));
    }
    connection.finish();
    assert.deepEqual((await receiving).messages, sent, `seed ${seed}`);
  }
});

check("several who wait get a message each, in order", async () => {
  for (let distance = 0; distance <= 12; distance++) {
    const { connection, transport } = connected();
    const received = Promise.all([transport.receive(), transport.receive(), transport.receive()]);
    connection.deliver("a\nb\n");
    await microtasks(distance);
    connection.deliver("c\n");
    assert.deepEqual((await received).sort(), ["a", "b", "c"]);
  }
});

check("whole messages come before the error behind them", async () => {
  const endings = {
    "a message that is too long": [(connection) => connection.deliver("x".repeat(101)), RangeError],
    "bytes that are no text": [(connection) => connection.deliver(Uint8Array.of(0x5b, 0xff)), TypeError],
  };
  for (const [what, [provoke, kind]] of Object.entries(endings)) {
    const { connection, transport } = connected({ maxMessageSize: 100 });
    connection.deliver("a\nb\n");
    provoke(connection);
    const { messages, reason } = await receiveAll(transport);
    assert.deepEqual(messages, ["a", "b"], what);
    assert.ok(reason instanceof kind, what);
    // The peer can still be told why.
    assert.equal(transport.send("why"), undefined);
    await settled();
    assert.deepEqual(connection.messages, ["why"]);
    assert.equal((await receiveAll(transport)).reason, reason, "the end is the end");
  }
});

check("one chunk with whole messages and too long a rest brings the messages first", async () => {
  const { connection, transport } = connected({ maxMessageSize: 100 });
  connection.deliver(`a\nb\n${"x".repeat(101)}`);
  const { messages, reason } = await receiveAll(transport);
  assert.deepEqual(messages, ["a", "b"]);
  assert.ok(reason instanceof RangeError);
});

check("a connection that is lost says so, with the cause", async () => {
  const { connection, transport } = connected();
  const receiving = receiveAll(transport);
  connection.deliver("a\nhalf");
  await settled();
  const cause = new Error("timed out");
  connection.fail(cause);
  const { messages, reason } = await receiving;
  assert.deepEqual(messages, ["a"]);
  assert.deepEqual([reason.message, reason.cause], ["WebTransport connection lost.", cause]);
});

check("nothing is read ahead of who receives", async () => {
  let pulls = 0;
  const readable = new ReadableStream(
    { pull: (controller) => controller.enqueue(new TextEncoder().encode(`${pulls++}\n`)) },
    { highWaterMark: 0 },
  );
  const transport = new WebTransportTransport(new FakeConnection({ open: { readable, writable: new WritableStream() } }));
  await settled();
  assert.equal(pulls, 0);
  assert.equal(await transport.receive(), "0");
  await settled();
  assert.equal(pulls, 1);
});
