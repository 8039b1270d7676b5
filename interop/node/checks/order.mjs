// Calls on one object start in the order in which they were sent.

import assert from "node:assert/strict";
import { RpcTarget } from "capnweb";
import { topic } from "../harness/registry.mjs";

const check = topic("order");

const key = () => `order ${Math.random()}`;
const count = (n) => Array.from({ length: n }, (_, i) => i);

check("calls start in the order sent", async (t) => {
  const name = key();
  await Promise.all(count(500).map((i) => t.api.probe.note(name, i)));
  assert.deepEqual(await t.api.probe.notes(name), count(500));
});

check("a call that waits is started in its turn and overtaken", async (t) => {
  const name = key();
  await Promise.all([t.api.probe.noteAfter(name, 30, "slow"), t.api.probe.note(name, "between"), t.api.probe.noteAfter(name, 1, "quick")]);
  assert.deepEqual(await t.api.probe.notes(name), ["slow started", "between", "quick started", "quick ended", "slow ended"]);
});

check("calls queued on one promise keep their order, and later ones come after", async (t) => {
  const name = key();
  const probe = t.own(t.api.echo({ main: t.own(t.api.sleep(10)) }));
  const kept = [];
  const order = t.own(t.api.probe.later(20, (i) => kept.push(i)));
  const queued = count(20).map((i) => order.later(i));
  await probe;
  queued.push(order.later(20));
  await Promise.all(queued);
  assert.deepEqual(kept, count(21));
  assert.deepEqual(await t.api.probe.notes(name), []);
});

check("callbacks of ours start in the order in which the peer sent them", async (t) => {
  const seen = [];
  await t.api.probe.callMany((i) => void seen.push(i), 300);
  assert.deepEqual(seen, count(300));
});

check("a settled promise as an argument costs the call nothing of its place", { notNode: "the reference starts the other call first" }, async (t) => {
  const name = key();
  const peer = t.raw();
  await peer.send(["push", ["pipeline", 0, ["square"], [3]]], ["pull", 1]);
  await peer.outcome(1);
  await peer.send(
    ["push", ["pipeline", 0, ["probe", "note"], [name, ["pipeline", 1]]]], ["pull", 2],
    ["push", ["pipeline", 0, ["probe", "note"], [name, "after"]]], ["pull", 3],
  );
  await Promise.all([peer.outcome(2), peer.outcome(3)]);
  assert.deepEqual(await t.api.probe.notes(name), [9, "after"]);
});

check("calls on a stub that went through another session keep their order", async (t) => {
  const name = key();
  const there = t.connect();
  const seen = [];
  await t.api.probe.share(name, (i) => void seen.push(i));
  const far = t.own(await there.api.probe.shared(name));
  await Promise.all(count(200).map((i) => far(i)));
  assert.deepEqual(seen, count(200));
  await t.api.probe.unshare(name);
});

check("calls start in order on an object of ours that the peer pipelines on", async (t) => {
  class Log extends RpcTarget {
    entries = [];
    add(entry) {
      this.entries.push(entry);
    }
  }
  const log = new Log();
  const held = t.own(t.api.echo({ log }));
  await Promise.all(count(100).map((i) => held.log.add(i)));
  assert.deepEqual(log.entries, count(100));
});
