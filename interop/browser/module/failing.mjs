// When writing or opening fails: `receive` and every later `send` reject with the reason, and nothing waits for ever.

import assert from "node:assert/strict";
import { WebTransportTransport } from "../capnweb-webtransport.js";
import { FakeClock, FakeConnection, microtasks, settled } from "./fake.mjs";
import { topic } from "./registry.mjs";

const check = topic("failing");
const LOST = { message: "WebTransport connection lost." };
const FAILED = { message: "WebTransport connection failed." };

/** Runs a check by a clock that it turns itself. */
function timed(title, run) {
  check(title, async () => {
    const clock = new FakeClock();
    try {
      await run(clock);
    } finally {
      clock[Symbol.dispose]();
    }
  });
}

const refused = (error) => ({
  "at once": () => {
    throw error;
  },
  "a microtask later": () => Promise.reject(error),
  "a turn later": () => new Promise((_, reject) => setImmediate(reject, error)),
});

for (const when of ["at once", "a microtask later", "a turn later"]) {
  timed(`a write that fails ${when} ends both directions with its reason`, async (clock) => {
    for (let failing = 0; failing < 4; failing++) {
      const cause = new Error("stop sending");
      const connection = new FakeConnection({ write: (n) => (n === failing ? refused(cause)[when]() : undefined) });
      const transport = new WebTransportTransport(connection);
      const received = transport.receive();
      received.catch(() => {});
      for (let n = 0; n < 4; n++) {
        transport.send(`${n}`)?.catch(() => {});
        await settled();
      }
      const refusal = transport.send("in vain");
      refusal.catch(() => {});
      await clock.advance(2000);
      await assert.rejects(received, { ...LOST, cause });
      await assert.rejects(refusal, { ...LOST, cause });
      for (let n = 0; n < 3; n++) {
        await assert.rejects(transport.send("in vain"), { ...LOST, cause });
        await assert.rejects(transport.receive(), { ...LOST, cause });
      }
      assert.equal(connection.messages.length, failing);
      assert.equal(clock.pending, 0);
    }
  });
}

timed("a failed write at any distance from the next send leaves nothing waiting", async (clock) => {
  for (let distance = 0; distance <= 12; distance++) {
    const connection = new FakeConnection({ write: (n) => (n === 1 ? Promise.reject(new Error("stop sending")) : undefined) });
    const transport = new WebTransportTransport(connection);
    const received = transport.receive();
    received.catch(() => {});
    await settled();
    transport.send("a")?.catch(() => {});
    await microtasks(distance);
    transport.send("b")?.catch(() => {});
    await clock.advance(2000);
    await assert.rejects(received, LOST);
    await assert.rejects(transport.send("c"), LOST);
  }
});

timed("a failure is noticed while there is nothing to send", async (clock) => {
  let controller;
  const readable = new ReadableStream();
  const writable = new WritableStream({ start: (one) => void (controller = one) });
  const transport = new WebTransportTransport(new FakeConnection({ open: { readable, writable } }));
  const received = transport.receive();
  received.catch(() => {});
  await settled();
  controller.error(new Error("stop sending"));
  await clock.advance(2000);
  await assert.rejects(received, LOST);
});

timed("what the peer says after a failed write is heard, and is the reason", async (clock) => {
  const connection = new FakeConnection({ write: (n) => (n === 1 ? Promise.reject(new Error("stop sending")) : undefined) });
  const transport = new WebTransportTransport(connection);
  transport.send("a");
  await settled();
  transport.send("b");
  await settled();
  const refusal = transport.send("c");
  await clock.advance(1000);
  connection.deliver('["abort","why"]\n');
  assert.equal(await transport.receive(), '["abort","why"]');
  connection.finish();
  await assert.rejects(transport.receive(), { message: "Peer closed WebTransport." });
  await assert.rejects(refusal, { message: "Peer closed WebTransport." });
  assert.equal(clock.pending, 0);
});

for (const error of [new Error("timed out"), undefined]) {
  timed(`a connection that is ${error ? "lost" : "closed"} without its streams being told ends both directions`, async (clock) => {
    const connection = new FakeConnection();
    const transport = new WebTransportTransport(connection);
    const received = transport.receive();
    received.catch(() => {});
    await settled();
    connection.lose(error);
    await clock.advance(2000);
    const reason = error ? LOST : { message: "Peer closed WebTransport." };
    await assert.rejects(received, reason);
    await assert.rejects(transport.receive(), reason);
  });
}

const NEVER = new Promise(() => {});
const NO_STREAM = {
  "is refused": () => new FakeConnection({ ready: rejected(new Error("404")) }),
  "opens no stream": () => new FakeConnection({ open: rejected(new Error("no stream")) }),
  "is closed before it is ready": () => closing(new FakeConnection({ ready: NEVER })),
  "is closed before its stream is open": () => closing(new FakeConnection({ open: NEVER })),
};

for (const [what, connect] of Object.entries(NO_STREAM)) {
  timed(`a connection that ${what} fails both directions`, async (clock) => {
    const transport = new WebTransportTransport(connect());
    const received = transport.receive();
    received.catch(() => {});
    transport.send("early");
    await clock.advance(0);
    await assert.rejects(received, FAILED);
    await assert.rejects(transport.send("late"), FAILED);
    await assert.rejects(transport.receive(), FAILED);
    assert.equal(clock.pending, 0);
  });
}

function rejected(error) {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

function closing(connection) {
  setImmediate(() => connection.lose(new Error("gone")));
  return connection;
}
