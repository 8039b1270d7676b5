// HTTP batches: what is particular to them, as a client sees it and as it stands on the wire.

import assert from "node:assert/strict";
import { topic } from "../harness/registry.mjs";

const register = topic("batch");
const check = (title, conditions, run) =>
  run ? register(title, { over: ["batch"], ...conditions }, run) : register(title, { over: ["batch"] }, conditions);

const lines = (...messages) => messages.map((message) => (typeof message === "string" ? message : JSON.stringify(message))).join("\n");
const messages = (body) => (body === "" ? [] : body.split("\n").map((line) => JSON.parse(line)));
const SQUARE = ["push", ["pipeline", 0, ["square"], [3]]];

check("an answer to what was pulled, and nothing else", async (t) => {
  const response = await t.post(lines(SQUARE, SQUARE, ["pull", 2]));
  assert.equal(response.status, 200);
  assert.deepEqual(messages(await response.text()), [["resolve", 2, 9]]);
});

check("an answer carries the CORS header", async (t) => {
  const response = await t.post(lines(SQUARE, ["pull", 1]), { headers: { Origin: "https://elsewhere.example" } });
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
});

check("methods other than POST get 405, with the CORS header", async (t) => {
  for (const method of ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]) {
    for (const path of ["/", "/some/path"]) {
      const response = await t.post(undefined, { method, path });
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("access-control-allow-origin"), "*", method);
      await response.arrayBuffer();
    }
  }
});

check("an empty body is no messages", async (t) => {
  for (const body of ["", undefined]) {
    const response = await t.post(body);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
  }
});

check("no answer ends with a newline", async (t) => {
  const body = await (await t.post(lines(SQUARE, ["pull", 1], SQUARE, ["pull", 2]))).text();
  assert.equal(messages(body).length, 2);
  assert.ok(!body.endsWith("\n"));
});

check("a call that is not pulled runs, and runs on after the answer", async (t) => {
  const key = `unpulled ${Math.random()}`;
  const response = await t.post(lines(["push", ["pipeline", 0, ["probe", "noteAfter"], [key, 30, "work"]]]));
  assert.deepEqual(messages(await response.text()), []);
  const notes = [];
  await t.until("the end is noted", async () => {
    notes.push(...(await t.batch().probe.notes(key)));
    return notes.includes("work ended");
  });
  assert.deepEqual(notes, ["work started", "work ended"]);
});

check("the answer waits for every pulled call", async (t) => {
  const api = t.batch();
  assert.deepEqual(await Promise.all([api.sleep(40), api.sleep(1), api.square(2)]), [40, 1, 4]);
});

check("a promise inside a result is settled in the same answer", async (t) => {
  const answer = messages(await (await t.post(lines(["push", ["pipeline", 0, ["probe", "later"], [20, "x"]]], ["pull", 1]))).text());
  const [[, , result]] = answer.filter(([tag, id]) => tag === "resolve" && id === 1);
  assert.equal(result.later[0], "promise");
  assert.deepEqual(answer.find(([tag, id]) => tag === "resolve" && id === result.later[1]), ["resolve", result.later[1], "x"]);
});

check("errors are answers too", async (t) => {
  const answer = messages(await (await t.post(lines(["push", ["pipeline", 0, ["throwError"], []]], ["pull", 1]))).text());
  assert.deepEqual(answer, [["reject", 1, ["error", "RangeError", "test error"]]]);
});

check("a thousand calls in one batch", async (t) => {
  const api = t.batch();
  const squares = await Promise.all(Array.from({ length: 1000 }, (_, i) => api.square(i)));
  assert.deepEqual(squares, Array.from({ length: 1000 }, (_, i) => i * i));
});

check("what was not asked for in time fails once the batch is over", async (t) => {
  const api = t.batch();
  const late = api.square(3);
  assert.equal(await api.square(2), 4);
  await assert.rejects(t.ask(() => late), /Batch RPC request ended/);
});

check("a stub in an answer is spent with its batch", async (t) => {
  const counter = await t.batch().makeCounter(1);
  await assert.rejects(t.ask(() => counter.increment()));
});

check("a fresh main object for each batch", async (t) => {
  await t.batch().probe.keep((x) => x);
  await assert.rejects(t.ask((api) => api.probe.callKept(1)));
});

const CALLBACKS = { notNode: "the reference never answers" };

check("a callback fails at once, with an error that says why", CALLBACKS, async (t) => {
  await assert.rejects(t.ask((api) => api.callFunction((i) => i, 1)), /WebSocket/);
  await assert.rejects(t.ask((api) => api.callBack((i) => i, 1)), /WebSocket/);
});

check("an argument that we never resolve fails at once, with an error that says why", CALLBACKS, async (t) => {
  const answer = messages(await (await t.post(lines(["push", ["pipeline", 0, ["square"], [["promise", -1]]]], ["pull", 1]))).text());
  const [tag, id, error] = answer.find(([kind]) => kind === "reject");
  assert.deepEqual([tag, id], ["reject", 1]);
  assert.match(error[2], /WebSocket/);
});

check("a callback that fails leaves the batch's other calls alone", CALLBACKS, async (t) => {
  const api = t.batch();
  const outcomes = await Promise.allSettled([api.callFunction((i) => i, 1), api.square(5)]);
  assert.equal(outcomes[0].status, "rejected");
  assert.equal(outcomes[1].value, 25);
});

check("our main object cannot be asked in a batch", CALLBACKS, async (t) => {
  await assert.rejects(t.ask((api) => api.probe.callPeer("greet", ["x"])), /WebSocket/);
});

const LENIENT = { notNode: "the reference ends the batch" };

check("a malformed line is answered with 200 and an abort", { notNode: "the reference leaves that to the application" }, async (t) => {
  for (const rubbish of ["{", "42", '["unknown"]', '["push",["what"]]', '["pull",9]']) {
    const response = await t.post(lines(SQUARE, ["pull", 1], rubbish));
    assert.equal(response.status, 200);
    const answer = messages(await response.text());
    assert.equal(answer.at(-1)[0], "abort", rubbish);
    assert.equal(answer.at(-1)[1][0], "error");
  }
});

check("a malformed batch shows its reason to a JavaScript client", { notNode: "the reference leaves that to the application" }, async (t) => {
  const api = t.batch();
  await assert.rejects(t.ask(() => api.echo(BigInt("9".repeat(16_385)))), /bigint|16,?384/i);
});

check("blank lines, CRLF and a final newline are accepted", LENIENT, async (t) => {
  const body = `${JSON.stringify(SQUARE)}\r\n\n["pull",1]\r\n`;
  assert.deepEqual(messages(await (await t.post(body)).text()), [["resolve", 1, 9]]);
});

check("a body that is no text is refused or answered with an abort", { notNode: "the reference replaces the bytes" }, async (t) => {
  const response = await t.post(Buffer.from([0x5b, 0xff, 0xfe, 0x5d]));
  const body = await response.text();
  assert.ok(response.status === 400 || messages(body).at(-1)[0] === "abort", `${response.status} ${body}`);
  assert.equal(await t.batch().square(2), 4);
});

check("the session of a batch ends with it", { notNode: "the reference keeps it until it is collected" }, async (t) => {
  const live = async () => t.batch().probe.live();
  const before = await live();
  await t.post(lines(["push", ["pipeline", 0, ["makeCounter"], [1]]], ["pull", 1]));
  await t.post(lines(["push", ["pipeline", 0, ["probe", "keep"], [["export", -1]]]], ["pull", 1]));
  await t.until("mains and counters are gone", async () => {
    const now = await live();
    return now.mains === before.mains && now.counters === before.counters;
  });
});

check("a client that goes away before the answer is no trouble", async (t) => {
  const stop = new AbortController();
  const gone = t.post(lines(["push", ["pipeline", 0, ["sleep"], [200]]], ["pull", 1]), { signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  await assert.rejects(gone);
  assert.equal(await t.batch().square(2), 4);
});
