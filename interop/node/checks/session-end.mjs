// How sessions end, and what is told to whom.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("session end");

async function mains(t) {
  return (await t.api.probe.live()).mains;
}

/** A second connection, watched from the check's own. */
async function watched(t) {
  let before;
  await t.until("earlier sessions are gone", async () => {
    const now = await mains(t);
    await t.api.sleep(20);
    return (before = await mains(t)) === now;
  });
  const other = t.connect();
  await other.api.ping();
  assert.equal(await mains(t), before + 1);
  return { other, gone: () => t.until("the main object is gone", async () => (await mains(t)) === before) };
}

check("closing our side lets the peer drop the main object", async (t) => {
  const { other, gone } = await watched(t);
  other.api[Symbol.dispose]();
  await gone();
});

check("a lost connection lets the peer drop the main object", async (t) => {
  const { other, gone } = await watched(t);
  other.socket.terminate();
  await gone();
});

check("objects held through a lost connection are dropped", async (t) => {
  const before = (await t.api.probe.live()).counters;
  const { other, gone } = await watched(t);
  await Promise.all([other.api.makeCounter(1), other.api.makeCounter(2), other.api.probe.stubs()]);
  assert.equal((await t.api.probe.live()).counters, before + 5);
  other.socket.terminate();
  await gone();
  await t.until("the counters are gone", async () => (await t.api.probe.live()).counters === before);
});

check("a handler that was running when the connection was lost runs to its end", async (t) => {
  const key = `lost ${Math.random()}`;
  const { other, gone } = await watched(t);
  other.api.probe.noteAfter(key, 50, "work").catch(() => {});
  await other.api.ping();
  other.socket.terminate();
  await gone();
  await t.until("the end is noted", async () => (await t.api.probe.notes(key)).includes("work ended"));
});

check("what waits for a lost peer fails over there", async (t) => {
  const name = `lost ${Math.random()}`;
  const { other, gone } = await watched(t);
  await other.api.probe.share(name, () => new Promise(() => {}));
  const far = t.own(await t.api.probe.shared(name));
  const waiting = t.ask(() => far());
  const failed = assert.rejects(waiting, Error);
  await t.api.ping();
  other.socket.terminate();
  await gone();
  await failed;
  await assert.rejects(t.ask(() => far()), Error);
  await t.api.probe.unshare(name);
});

check("the peer hanging up breaks our stubs and fails our calls with its reason", async (t) => {
  const other = t.connect();
  const waiting = t.ask(() => other.api.sleep(60_000)).catch((reason) => reason);
  other.api.probe.hangUp().catch(() => {}); // its answer may or may not come first
  const reason = await other.broken;
  assert.match(reason.message, /hung up|Peer closed WebSocket: 3000/);
  assert.equal((await waiting).message, reason.message);
  await assert.rejects(t.ask(() => other.api.ping()), { message: reason.message });
});

check("an abort is answered by closing with 3000 and no abort back", async (t) => {
  const peer = t.raw();
  await peer.send(["abort", ["error", "RangeError", "we are done"]]);
  const { code, reason } = await peer.closed();
  assert.equal(code, 3000);
  assert.match(reason, /we are done/);
  await assert.rejects(peer.next(), /the peer closed/);
});

check("an abort may carry any value", async (t) => {
  for (const value of ["just text", null, 5, ["undefined"], { a: 1 }]) {
    const peer = t.raw();
    await peer.send(["abort", value]);
    assert.equal((await peer.closed()).code, 3000);
  }
});

check("a long reason is cut to what a close frame holds", async (t) => {
  const peer = t.raw();
  await peer.send(["abort", ["error", "Error", "ü".repeat(500)]]);
  const { code, reason } = await peer.closed();
  assert.equal(code, 3000);
  assert.ok(Buffer.byteLength(reason) <= 123);
  assert.match(reason, /ü+$/);
});

check("an orderly close by us is answered", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["ping"], []]], ["pull", 1]);
  await peer.outcome(1);
  peer.close(1000, "bye");
  assert.equal((await peer.closed()).code, 1000);
});

check("many sessions side by side", { seconds: 20 }, async (t) => {
  const sessions = Array.from({ length: 50 }, () => t.connect());
  const answers = await Promise.all(sessions.map(({ api }, i) => api.square(i)));
  assert.deepEqual(answers, sessions.map((_, i) => i * i));
});
