// What no honest peer sends. The session ends, the peer is told why, and the server goes on.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const check = topic("violations");

const PUSH = '["push",["pipeline",0,["makeCounter"],[1]]]';

const violations = {
  "no JSON": ["{"],
  "text": ["hello"],
  "JSON and more": ['["pull",0] x'],
  "unfinished JSON": ['["push",["pipeline",0,["echo"],["a"'],
  "a bad escape": ['["push","\\x"]'],
  "a control character in a string": ['["push","\u0001"]'],
  "a number that is none": ['["push",01]'],
  "no array": ["42"],
  "an object": ['{"push":1}'],
  "null": ["null"],
  "an empty array": ["[]"],
  "an unknown message": ['["unknown",1]'],
  "a tag that is no string": ["[1,2]"],
  "a push of nothing": ['["push"]'],
  "a pull of nothing": ['["pull"]'],
  "a pull of text": ['["pull","1"]'],
  "a pull of an ID never given": ['["pull",5]'],
  "a pull of an ID released": [PUSH, '["release",1,1]', '["pull",1]'],
  "a resolve without a value": ['["resolve",1]'],
  "a resolve of text": ['["resolve","1",2]'],
  "a release without a count": ['["release",1]'],
  "a release of an ID never given": ['["release",7,1]'],
  "a release of more than there is": [PUSH, '["release",1,2]'],
  "an unknown expression": ['["push",["what",1]]'],
  "an empty expression": ['["push",[]]'],
  "an expression of an object": ['["push",[{}]]'],
  "an export without ID": ['["push",["export"]]'],
  "an export of text": ['["push",["export","a"]]'],
  "an import of nothing": ['["push",["import"]]'],
  "an import of an ID never given": ['["push",["import",77]]'],
  "a pipeline on an ID never given": ['["push",["pipeline",77,["x"],[]]]'],
  "a pipeline on a negative ID never given": ['["push",["pipeline",-5,["x"],[]]]'],
  "a path that is none": ['["push",["pipeline",0,"square",[1]]]'],
  "a path with an object": ['["push",["pipeline",0,[{}],[1]]]'],
  "arguments that are none": ['["push",["pipeline",0,["square"],5]]'],
  "a bigint of letters": ['["push",["bigint","12x"]]'],
  "a bigint that is a number": ['["push",["bigint",12]]'],
  "a date of text": ['["push",["date","today"]]'],
  "bytes of numbers": ['["push",["bytes",[1,2]]]'],
  "bytes of an unknown type": ['["push",["bytes","","Nope"]]'],
  "bytes of a wrong length": ['["push",["bytes","AAA","Float32Array"]]'],
  "an error without message": ['["push",["error","Error"]]'],
  "an error whose props are none": ['["push",["error","Error","m",null,5]]'],
  "a URL that is none": ['["push",["url","not a url"]]'],
  "a promise of text": ['["push",["promise","x"]]'],
  "a readable of no pipe": ['["push",["readable",1]]'],
  "a remap that is none": ['["push",["remap",0,[]]]'],
  "a remap of an ID never given": ['["push",["remap",77,[],[],[["pipeline",0]]]]'],
  "a capture that is none": ['["push",["remap",0,[],[5],[["pipeline",0]]]]'],
  "a capture never given": ['["push",["remap",0,[],[["import",55]],[["pipeline",0]]]]'],
};

/** Laxer in the reference, where JavaScript makes something of it. */
const strictOnly = {
  "a negative release": [PUSH, '["release",1,-1]'],
  "a release of a fraction": [PUSH, '["release",1,0.5]'],
  "a pull of a fraction": ['["pull",0.5]'],
  "an export with an ID of ours to choose": ['["push",["pipeline",0,["echo"],[["export",5]]]]'],
};

async function assertEnds(t, frames) {
  const witness = t.connect();
  await witness.api.ping();
  const peer = t.raw();
  await peer.send(...frames);
  const [, error] = await peer.nextOf("abort");
  assert.equal(error[0], "error");
  assert.ok(error[2].length > 0, "the peer learns why");
  const { code, reason } = await peer.closed();
  assert.equal(code, 3000);
  assert.ok(reason.length > 0, "the close frame tells why");
  assert.equal(await witness.api.square(2), 4, "other sessions live on");
  assert.equal(await t.connect().api.square(3), 9, "new sessions are served");
}

for (const [what, frames] of Object.entries(violations)) {
  check(`${what} ends the session`, async (t) => assertEnds(t, frames));
}

for (const [what, frames] of Object.entries(strictOnly)) {
  check(`${what} ends the session`, { notNode: "the reference lets it pass", proxyAnswers: true }, async (t) => assertEnds(t, frames));
}

check("bytes that are no text end the connection", async (t) => {
  const peer = t.raw();
  await peer.send(Buffer.from([0xff, 0xfe, 0xfd]));
  const { code } = await peer.closed();
  assert.ok([1003, 1007, 3000].includes(code), `closed with ${code}`);
  assert.equal(await t.api.square(2), 4);
});

check("a violation drops what the peer held", async (t) => {
  const before = (await t.api.probe.live()).counters;
  const peer = t.raw();
  await peer.send(PUSH, PUSH, PUSH, '["pull",3]');
  await peer.outcome(3);
  assert.equal((await t.api.probe.live()).counters, before + 3);
  await peer.send("rubbish");
  await peer.closed();
  await t.until("the counters are gone", async () => (await t.api.probe.live()).counters === before);
});

check("a violation comes with the answers before it", async (t) => {
  const peer = t.raw();
  await peer.send(PUSH, '["push",["pipeline",0,["square"],[3]]]', '["pull",2]');
  assert.deepEqual(await peer.outcome(2), ["resolve", 2, 9]);
  await peer.send("rubbish");
  assert.equal((await peer.nextOf("abort"))[0], "abort");
});

check("a connection that sends nothing and goes is no trouble", async (t) => {
  for (let i = 0; i < 20; i += 1) {
    const peer = t.raw();
    await peer.send();
    peer.terminate();
  }
  assert.equal(await t.api.square(2), 4);
});

check("random bytes never take the server down", { seconds: 20 }, async (t) => {
  let seed = 12345;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const pieces = ["[", "]", '"push"', '"pull"', '"pipeline"', '"import"', '"export"', '"resolve"', '"remap"', '"release"', ",", "0", "1", "-1", "{", "}", ":", '"a"', "null", "1e999", '"\\ud800"', " "];
  for (let i = 0; i < 100; i += 1) {
    const peer = t.raw();
    const frame = Array.from({ length: 1 + random(12) }, () => pieces[random(pieces.length)]).join("");
    await peer.send(frame, `[${frame}]`, `["push",${frame}]`);
    peer.close(1000);
  }
  assert.equal(await t.api.square(2), 4);
});
