import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("keep-alive");

check("a call of nothing is answered, which makes it a ping", async (t) => {
  const peer = t.raw();
  for (const id of [1, 2, 3]) {
    await peer.send(["push", null], ["pull", id]);
    assert.deepEqual(await peer.outcome(id), ["resolve", id, null]);
    await peer.send(["release", id, 1]);
  }
});

check("a ping of WebSocket is answered", async (t) => {
  const peer = t.raw();
  await peer.ping("are you there?");
  await peer.ping("");
});
