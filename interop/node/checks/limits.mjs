// What an untrusted peer may ask for. The reference has the first three limits only.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("limits");

/** The session ends with an abort whose message matches, and the server goes on. */
async function assertEnds(t, peer, pattern) {
  const [, error] = await peer.nextOf("abort");
  assert.match(error[2], pattern);
  assert.equal((await peer.closed()).code, 3000);
  assert.equal(await t.connect().api.square(2), 4);
}

check("a bigint of 16,384 digits passes, one more ends the session", async (t) => {
  const peer = t.raw();
  const digits = "9".repeat(16_384);
  await peer.send(["push", ["pipeline", 0, ["echo"], [["bigint", digits]]]], ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, ["bigint", digits]]);
  await peer.send(["push", ["pipeline", 0, ["echo"], [["bigint", `${digits}9`]]]]);
  await assertEnds(t, peer, /bigint.*16,?384|16,?384.*bigint/i);
});

check("a message nested deeper than 256 ends the session", async (t) => {
  const peer = t.raw();
  const nested = (depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  await peer.send(`["push",${nested(255)}]`, ["pull", 1]);
  assert.equal((await peer.outcome(1))[0], "resolve");
  await peer.send(`["push",${nested(256)}]`);
  await assertEnds(t, peer, /depth|deep/i);
});

check("call arguments inside one another do not start to count anew", async (t) => {
  const peer = t.raw();
  const nested = (depth) => `${'["pipeline",0,["next"],['.repeat(depth)}1${"]]".repeat(depth)}`;
  await peer.send(`["push",${nested(50)}]`, ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 51]);
  await peer.send(`["push",${nested(300)}]`);
  await assertEnds(t, peer, /depth|deep/i);
});

check("arrays a hundred thousand deep harm nobody", async (t) => {
  const peer = t.raw();
  await peer.send(`["push",${"[".repeat(100_000)}${"]".repeat(100_000)}]`);
  await peer.nextOf("abort");
  assert.equal(await t.api.square(2), 4);
});

const BEYOND = { seconds: 30, notWorker: "workerd cuts such a connection without a close code" };

check("a message beyond 32 Mi ends the connection", BEYOND, async (t) => {
  const peer = t.raw();
  await peer.send(`["push","${"x".repeat(32 * 1024 * 1024)}"]`);
  const { code } = await peer.closed();
  assert.ok([1009, 3000].includes(code), `closed with ${code}`);
  assert.equal(await t.api.square(2), 4);
});

const OURS = { notNode: "the reference has no such limit", seconds: 60 };

/** Sends the same frame so many times, in writes of a thousand. */
async function flood(peer, frame, count) {
  const thousand = Array(1000).fill(JSON.stringify(frame));
  for (let sent = 0; sent < count; sent += 1000) await peer.send(...thousand);
}

check("exports beyond the limit end the session", { ...OURS, proxyAnswers: true }, async (t) => {
  const peer = t.raw();
  await flood(peer, ["push", 1], 263_000);
  await assertEnds(t, peer, /export/i);
});

check("calls in flight beyond the limit end the session", OURS, async (t) => {
  const peer = t.raw();
  await flood(peer, ["push", ["pipeline", 0, ["sleep"], [60_000]]], 66_000);
  await assertEnds(t, peer, /call/i);
});

/** The push rejects or the session ends, either naming the limit, and the server goes on. */
async function assertStopped(t, peer, id) {
  const message = await peer.outcomeOrAbort(id);
  assert.notEqual(message[0], "resolve");
  const error = message.at(-1);
  assert.match(error[2], /limit|maximum|exceed/i);
  assert.equal(await t.connect().api.square(2), 4);
}

check("a map that multiplies beyond the limit is stopped", OURS, async (t) => {
  const peer = t.raw();
  const list = ["push", ["pipeline", 0, ["list"], [100]]];
  // Each level maps the whole list of 100 again: 100^5 instructions.
  const nest = (depth) => (depth === 0 ? [["pipeline", 0]] : [["remap", -1, [], [["import", -1]], nest(depth - 1)]]);
  await peer.send(list, ["push", ["remap", 1, [], [["import", 1]], nest(4)]], ["pull", 2]);
  await assertStopped(t, peer, 2);
});

check("a value doubled thirty times is stopped", OURS, async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["echo"], ["0123456789"]]]);
  for (let id = 1; id <= 30; id += 1) {
    await peer.send(["push", ["pipeline", 0, ["echo"], [[[["pipeline", id], ["pipeline", id]]]]]]);
  }
  await peer.send(["pull", 31]);
  await assertStopped(t, peer, 31);
});
