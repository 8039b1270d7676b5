// Frames that are unusual and yet in order: the session lives.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("frames");

const SQUARE = ["push", ["pipeline", 0, ["square"], [3]]];

/** The session must still answer; `id` is the next free one. */
async function lives(peer, id) {
  await peer.send(SQUARE, ["pull", id]);
  assert.deepEqual(await peer.outcome(id), ["resolve", id, 9]);
}

check("a call, its answer and its release", async (t) => {
  const peer = t.raw();
  await peer.send(SQUARE, ["pull", 1]);
  assert.deepEqual(await peer.next(), ["resolve", 1, 9]);
  await peer.send(["release", 1, 1]);
  await lives(peer, 2);
});

check("a call that is not pulled is not answered", async (t) => {
  const peer = t.raw();
  await peer.send(SQUARE, SQUARE, ["pull", 2]);
  assert.deepEqual(await peer.next(), ["resolve", 2, 9]);
  await peer.send(["pull", 1]);
  assert.deepEqual(await peer.next(), ["resolve", 1, 9]);
});

check("a second pull is ignored", async (t) => {
  const peer = t.raw();
  await peer.send(SQUARE, ["pull", 1], ["pull", 1], SQUARE, ["pull", 2]);
  assert.deepEqual(await peer.next(), ["resolve", 1, 9]);
  assert.deepEqual(await peer.next(), ["resolve", 2, 9]);
});

check("extra elements at the end of a message are ignored", async (t) => {
  const peer = t.raw();
  await peer.send([...SQUARE, "extra"], ["pull", 1, "extra", {}]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 9]);
  await peer.send(["release", 1, 1, "extra"]);
  await lives(peer, 2);
});

check("white space inside a frame is ignored", async (t) => {
  const peer = t.raw();
  await peer.send(' \n[ "push" , [ "pipeline" , 0 , [ "square" ] , [ 3 ] ] ]\t', '\r\n["pull",1] ');
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 9]);
});

check("a push of a plain value", async (t) => {
  const peer = t.raw();
  await peer.send(["push", { a: [[1, 2]] }], ["pull", 1], ["push", ["pipeline", 1, ["a", 1]]], ["pull", 2]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, { a: [[1, 2]] }]);
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 2]);
});

check("a push of a call as a stub", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["import", 0, ["square"], [4]]], ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 16]);
});

check("pulling the main object gives a stub of it", async (t) => {
  const peer = t.raw();
  await peer.send(["pull", 0]);
  const [tag, id, expression] = await peer.next();
  assert.deepEqual([tag, id, expression[0]], ["resolve", 0, "export"]);
  await peer.send(["push", ["pipeline", expression[1], ["square"], [5]]], ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 25]);
});

check("pulling a stub rejects", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["makeCounter"], [1]]], ["pull", 1]);
  const [, , [, id]] = await peer.outcome(1);
  await peer.send(["pull", id]);
  const [tag, , error] = await peer.outcome(id);
  assert.equal(tag, "reject");
  assert.match(error[2], /Tried to resolve a non-promise stub/);
  await peer.send(["push", ["pipeline", id, ["increment"], [1]]], ["pull", 2]);
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 2]);
});

check("a stub as a promise rejects, as a stub it is a copy", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["makeCounter"], [1]]], ["pull", 1]);
  const [, , [, id]] = await peer.outcome(1);
  await peer.send(
    ["push", ["import", id]],
    ["push", ["pipeline", 2, ["increment"], [4]]], ["pull", 3],
    ["push", ["pipeline", id]], ["pull", 4],
    ["push", ["pipeline", id, []]], ["pull", 5],
    ["push", ["import", id, []]], ["pull", 6],
    ["push", ["pipeline", id, ["value"]]], ["pull", 7],
  );
  assert.deepEqual(await peer.outcome(3), ["resolve", 3, 5]);
  for (const of of [4, 5, 6]) {
    const [tag, , error] = await peer.outcome(of);
    assert.equal(tag, "reject", `push ${of}`);
    assert.match(error[2], /Can't dup an RpcTarget stub as a promise/);
  }
  assert.deepEqual(await peer.outcome(7), ["resolve", 7, 5]);
});

check("the main object and results in every form", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0]], ["push", ["pipeline", 0, []]], ["push", ["import", 0]], ["push", ["import", 0, []]]);
  for (const id of [1, 2, 3, 4]) {
    await peer.send(["push", ["pipeline", id, ["square"], [id]]], ["pull", id + 4]);
  }
  for (const id of [1, 2, 3, 4]) assert.deepEqual(await peer.outcome(id + 4), ["resolve", id + 4, id * id]);
});

check("an answer to what we never asked is let go", async (t) => {
  const peer = t.raw();
  await peer.send(["resolve", 5, 1], ["reject", 5, ["error", "Error", "late"]], ["resolve", 6, { stub: ["export", -1] }]);
  assert.deepEqual(await peer.next(), ["release", -1, 1]);
  await lives(peer, 1);
});

check("the peer calls our function and releases it", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["callFunction"], [["export", -1], 5]]], ["pull", 1]);
  const push = await peer.nextOf("push");
  assert.equal(push[1][0], "pipeline");
  assert.deepEqual([push[1][1], push[1][2] ?? [], push[1][3]], [-1, [], [5]]);
  assert.deepEqual(await peer.nextOf("pull"), ["pull", 1]);
  await peer.send(["resolve", 1, 7]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, { result: 7 }]);
  const released = [await peer.nextOf("release"), await peer.nextOf("release")];
  assert.deepEqual(new Set(released.map(([, id]) => id)), new Set([1, -1]));
});

check("a promise of ours is released once it resolved", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["square"], [["promise", -1]]]], ["pull", 1], ["resolve", -1, 6]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 36]);
  assert.deepEqual(await peer.nextOf("release"), ["release", -1, 1]);
});

check("a function of ours that throws anything", async (t) => {
  for (const thrown of ["text", 5, null, ["undefined"], { a: 1 }, ["error", "RangeError", "r"]]) {
    const peer = t.raw();
    await peer.send(["push", ["pipeline", 0, ["callFunction"], [["export", -1], 5]]], ["pull", 1]);
    await peer.nextOf("push");
    await peer.send(["reject", 1, thrown]);
    assert.equal((await peer.outcome(1))[0], "reject");
    peer.close(1000);
  }
});

check("a stub in an error that was thrown is released", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["callFunction"], [["export", -1], 5]]], ["pull", 1]);
  await peer.nextOf("push");
  await peer.send(["reject", 1, ["error", "Error", "m", null, { f: ["export", -2] }]]);
  assert.equal((await peer.outcome(1))[0], "reject");
  const released = new Set();
  while (!released.has(-2)) released.add((await peer.nextOf("release"))[1]);
});

check("a result that is a promise of ours at its root", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["callFunction"], [["export", -1], 5]]], ["pull", 1]);
  await peer.nextOf("push");
  await peer.send(["resolve", 1, ["promise", -2]], ["resolve", -2, 8]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, { result: 8 }]);
});

check("a pipe and a stream message take their IDs", async (t) => {
  const peer = t.raw();
  await peer.send(["pipe"], SQUARE, ["pull", 2]);
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 9]);
  await peer.send(["stream", ["pipeline", 0, ["square"], [2]]], SQUARE, ["pull", 4]);
  assert.deepEqual(await peer.outcome(4), ["resolve", 4, 9]);
});

check("one frame may be large and many small", async (t) => {
  const peer = t.raw();
  const text = "x".repeat(3_000_000);
  await peer.send(["push", ["pipeline", 0, ["echo"], [text]]], ["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, text]);
  for (let id = 2; id < 5000; id += 1) await peer.send(SQUARE);
  await lives(peer, 5000);
});

check("a message in fragments, with pings in between", async (t) => {
  const peer = t.raw();
  const text = "äöü€😀".repeat(100);
  const message = Buffer.from(JSON.stringify(["push", ["pipeline", 0, ["echo"], [text]]]));
  const fragments = [];
  // Cuts through characters.
  for (let at = 0; at < message.length; at += 101) fragments.push(message.subarray(at, at + 101));
  await peer.sendFragments(...fragments, Buffer.alloc(0));
  await peer.send(["pull", 1]);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, text]);
});

check("a ping while answers are under way", async (t) => {
  const peer = t.raw();
  const text = "x".repeat(1_000_000);
  for (let id = 1; id <= 5; id += 1) {
    await peer.send(["push", ["pipeline", 0, ["echo"], [text]]], ["pull", id]);
  }
  await peer.ping("are you there?");
  for (let id = 1; id <= 5; id += 1) assert.deepEqual(await peer.outcome(id), ["resolve", id, text]);
});

const TOLERANT = { notNode: "the reference takes one text frame a message", proxyAnswers: true };

check("binary frames that hold text", TOLERANT, async (t) => {
  const peer = t.raw();
  await peer.send(Buffer.from(JSON.stringify(SQUARE)), Buffer.from('["pull",1]'));
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 9]);
});

check("several messages in one frame, one a line", TOLERANT, async (t) => {
  const peer = t.raw();
  await peer.send(`${JSON.stringify(SQUARE)}\n["pull",1]`, `${JSON.stringify(SQUARE)}\r\n["pull",2]\r\n`);
  assert.deepEqual(await peer.outcome(1), ["resolve", 1, 9]);
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 9]);
  await peer.send('\n["release",1,1]\n\n', "");
  await lives(peer, 3);
});
