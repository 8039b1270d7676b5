// Both sides have a main object.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("mains");

check("the peer calls our main object", async (t) => {
  assert.equal(await t.api.probe.callPeer("greet", ["peer"]), "hello peer");
  assert.equal(await t.api.probe.callPeer("add", [1, 2]), 3);
});

check("the peer reads a property of our main object", async (t) => {
  assert.equal(await t.api.probe.readPeer("title"), "a client");
  assert.equal(await t.api.probe.readPeer("nowhere"), undefined);
});

check("our main object's errors reach the peer and come back", async (t) => {
  await assert.rejects(t.ask((api) => api.probe.callPeer("fail", ["from below"])), { name: "TypeError", message: "from below" });
  await assert.rejects(t.ask((api) => api.probe.callPeer("nowhere", [])), { name: "TypeError", message: "'nowhere' is not a function." });
});

check("our main object gives a function that the peer hands on", async (t) => {
  const tally = t.own(await t.api.echo([t.own(t.api.probe.callPeer("makeTally", []))]));
  assert.equal(await tally[0](5), 5);
  assert.equal(await tally[0](5), 10);
});

check("calls cross in both directions at once", async (t) => {
  const rounds = Array.from({ length: 50 }, (_, i) => i);
  const there = rounds.map((i) => t.api.square(i));
  const back = rounds.map((i) => t.api.probe.callPeer("add", [i, i]));
  assert.deepEqual(await Promise.all(there), rounds.map((i) => i * i));
  assert.deepEqual(await Promise.all(back), rounds.map((i) => i + i));
});

check("the peer lives without a main object of ours", async (t) => {
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["probe", "callPeer"], ["greet", [["x"]]]]], ["pull", 1]);
  const push = await peer.nextOf("push");
  assert.deepEqual(push, ["push", ["pipeline", 0, ["greet"], ["x"]]]);
  await peer.send(["reject", 1, ["error", "Error", "This connection has no main object."]]);
  assert.deepEqual(await peer.outcome(1), ["reject", 1, ["error", "Error", "This connection has no main object."]]);
});
