// After `abort` what was sent before is still written; then the connection is closed, whatever the peer does.

import assert from "node:assert/strict";
import { WebTransportTransport } from "../capnweb-webtransport.js";
import { FakeClock, FakeConnection, microtasks, settled } from "./fake.mjs";
import { topic } from "./registry.mjs";

const register = topic("closing");
const DONE = new Error("done");

/** A check by a clock that it turns itself. */
function check(title, run) {
  register(title, async () => {
    const clock = new FakeClock();
    try {
      await run(clock);
    } finally {
      clock[Symbol.dispose]();
    }
  });
}

check("what was sent is written first, at any distance", async (clock) => {
  for (let distance = 0; distance <= 12; distance++) {
    for (let duration = 0; duration <= 4; duration++) {
      const connection = new FakeConnection({ write: () => microtasks(duration) });
      const transport = new WebTransportTransport(connection);
      await microtasks(distance);
      transport.send("a");
      await microtasks(distance);
      transport.send("b");
      transport.abort(DONE);
      await settled();
      assert.deepEqual(connection.messages, ["a", "b"]);
      assert.deepEqual(connection.ends, ["finished"], "the server is the first to close");
      connection.lose();
      await clock.advance(0);
      assert.deepEqual(connection.ends, ["finished", "closed"]);
      assert.equal(clock.pending, 0);
    }
  }
});

check("a peer that does not close is not waited for", async (clock) => {
  const connection = new FakeConnection();
  const transport = new WebTransportTransport(connection);
  transport.abort(DONE);
  await clock.advance(1999);
  assert.deepEqual(connection.ends, ["finished"]);
  await clock.advance(1);
  assert.deepEqual(connection.ends, ["finished", "closed"]);
});

check("a peer that takes nothing is not waited for", async (clock) => {
  const connection = new FakeConnection({ write: () => new Promise(() => {}) });
  const transport = new WebTransportTransport(connection);
  transport.send("a");
  transport.abort(DONE);
  await clock.advance(4000);
  assert.deepEqual(connection.ends, ["closed"]);
});

check("a peer that is slow gets everything", async (clock) => {
  const connection = new FakeConnection({ write: () => new Promise((resolve) => setTimeout(resolve, 1500)) });
  const transport = new WebTransportTransport(connection);
  const long = "x".repeat(1_000_000);
  transport.send(long);
  transport.abort(DONE);
  await clock.advance(16 * 1500);
  assert.deepEqual(connection.messages, [long]);
  assert.deepEqual(connection.ends, ["finished"]);
});

check("to abort again changes nothing, and nothing can be sent or received after it", async (clock) => {
  const connection = new FakeConnection();
  const transport = new WebTransportTransport(connection);
  const received = transport.receive();
  received.catch(() => {});
  await settled();
  connection.deliver("unread\n");
  transport.abort(DONE);
  transport.abort(new Error("another"));
  await assert.rejects(transport.send("late"), DONE);
  await assert.rejects(transport.receive(), DONE);
  await clock.advance(2000);
  await assert.rejects(received, DONE);
  assert.deepEqual(connection.ends, ["finished", "closed"]);
  assert.deepEqual(connection.messages, []);
});

check("what a peer still sends is taken and dropped, so that it can go on", async () => {
  let pulls = 0;
  const readable = new ReadableStream(
    { pull: (controller) => (pulls++ < 10 ? controller.enqueue(new Uint8Array(10)) : controller.close()) },
    { highWaterMark: 0 },
  );
  const transport = new WebTransportTransport(new FakeConnection({ open: { readable, writable: new WritableStream() } }));
  transport.abort(DONE);
  await settled();
  assert.equal(pulls, 11);
});

check("a connection that is not open yet sends, once it is", async () => {
  let open;
  const connection = new FakeConnection({ ready: new Promise((resolve) => (open = resolve)) });
  const transport = new WebTransportTransport(connection);
  transport.send("a");
  transport.abort(DONE);
  await settled();
  open();
  await settled();
  assert.deepEqual(connection.messages, ["a"]);
  assert.deepEqual(connection.ends, ["finished"]);
});

check("a connection that never opens is given up", async (clock) => {
  const refused = Promise.reject(new Error("no stream"));
  refused.catch(() => {});
  for (const state of [{ ready: new Promise(() => {}) }, { open: new Promise(() => {}) }, { open: refused }]) {
    const connection = new FakeConnection(state);
    const transport = new WebTransportTransport(connection);
    transport.abort(DONE);
    await clock.advance(2000);
    assert.deepEqual(connection.ends, ["closed"]);
    assert.equal(clock.pending, 0);
  }
});

check("a write that fails after it closes at once", async (clock) => {
  const connection = new FakeConnection({ write: () => Promise.reject(new Error("stop sending")) });
  const transport = new WebTransportTransport(connection);
  transport.abort(DONE);
  await clock.advance(2000);
  assert.deepEqual(connection.ends, ["closed"]);
  await assert.rejects(transport.receive(), DONE);
});
