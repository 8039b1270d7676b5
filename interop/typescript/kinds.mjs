// Asks `capnweb-interop rows` for a value of each row, and looks at what it is in JavaScript.

import assert from "node:assert/strict";
import { newWebSocketRpcSession, RpcTarget } from "capnweb";

class LocalUser extends RpcTarget {
  name() {
    return "local";
  }
}

const isStub = (value) => typeof value === "function" && typeof value.dup === "function";
const point = { x: 1, y: 2, pointLabel: null };

async function text(stream) {
  let found = "";
  for await (const chunk of stream) {
    found += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
  }
  return found;
}

/** What each row gives. */
export const rows = {
  user: async (rows) => assert.ok(isStub(await rows.user(3))),
  nameOf: async (rows) => {
    assert.equal(await rows.nameOf(rows.user(3)), "user 3");
    assert.equal(await rows.nameOf(new LocalUser()), "local");
  },
  eachUser: async (rows) => {
    let wasStub = false;
    const id = await rows.eachUser(async (user) => {
      wasStub = isStub(user);
      return await user.id();
    });
    assert.deepEqual([wasStub, id], [true, 3]);
  },
  users: async (rows) => assert.deepEqual((await rows.users()).map(isStub), [true, true]),
  maybeUser: async (rows) => {
    assert.ok(isStub(await rows.maybeUser(true)));
    assert.equal(await rows.maybeUser(false), null);
  },
  title: async (rows) => assert.equal(await rows.title, "rows"),
  "renamed-method": async (rows) => assert.equal(await rows["renamed-method"](), true),
  oldTitle: async (rows) => assert.equal(await rows.oldTitle(), "old rows"),
  fail: async (rows) => {
    const thrown = (code) => rows.fail(code).then(() => null, (error) => error);
    const poor = await thrown("insufficient_funds");
    assert.ok(poor instanceof Error);
    assert.deepEqual([poor.code, poor.balance], ["insufficient_funds", 5]);
    const lost = await thrown("lost");
    assert.deepEqual([lost.code, lost.name], ["lost", "RangeError"]);
  },
  call: async (rows) => assert.equal(await rows.call((n) => `got ${n}`), "got 7"),
  callTwo: async (rows) => {
    let got;
    assert.equal(await rows.callTwo((...all) => void (got = all)), undefined);
    assert.deepEqual(got, ["seven", 7]);
  },
  doubler: async (rows) => assert.equal(await (await rows.doubler())(4), 8),
  optional: async (rows) => {
    assert.equal(await rows.optional("a"), 1);
    assert.equal(await rows.optional("a", null, undefined), 1);
    assert.equal(await rows.optional("a", 1, { x: 1, y: 2 }), 3);
  },
  optionalFirst: async (rows) => {
    assert.equal(await rows.optionalFirst(null, 1), null);
    assert.equal(await rows.optionalFirst(undefined, 1), null);
    assert.equal(await rows.optionalFirst(1, 1), 2);
  },
  rest: async (rows) => assert.equal(await rows.rest("a", 1, 2), 2),
  context: async (rows) => assert.equal(await rows.context(true), true),
  unit: async (rows) => assert.equal(await rows.unit(), undefined),
  undefined: async (rows) => assert.equal(await rows.undefined(), undefined),
  text: async (rows) => assert.equal(await rows.text(), "text"),
  number: async (rows) => assert.equal(await rows.number(), 1.5),
  unsigned: async (rows) => {
    assert.equal(await rows.unsigned(false), 7);
    assert.equal(await rows.unsigned(true), 2n ** 64n - 1n);
  },
  signed: async (rows) => assert.equal(await rows.signed(), -(2n ** 63n)),
  large: async (rows) => assert.equal(await rows.large(), 2n ** 128n - 1n),
  huge: async (rows) => assert.equal(await rows.huge(), -(2n ** 63n)),
  date: async (rows) => assert.deepEqual(await rows.date(new Date(5)), new Date(5)),
  bytes: async (rows) => {
    const bytes = await rows.bytes(new Uint8Array([1, 2]));
    assert.ok(bytes instanceof Uint8Array);
    assert.deepEqual([...bytes], [1, 2]);
  },
  binary: async (rows) => assert.ok((await rows.binary()) instanceof ArrayBuffer),
  floats: async (rows) => {
    const floats = await rows.floats(new Float32Array([1.5]));
    assert.ok(floats instanceof Float32Array);
    assert.deepEqual([...floats], [1.5]);
  },
  url: async (rows) => assert.ok((await rows.url()) instanceof URL),
  error: async (rows) => assert.ok((await rows.error()) instanceof RangeError),
  blob: async (rows) => {
    const blob = await rows.blob();
    assert.ok(blob instanceof Blob);
    assert.equal(await blob.text(), "a blob");
  },
  headers: async (rows) => {
    const headers = await rows.headers(new Headers({ a: "b" }));
    assert.ok(headers instanceof Headers);
    assert.equal(headers.get("a"), "b");
  },
  request: async (rows) => {
    const request = await rows.request(new Request("http://example.com/a", { method: "PUT" }));
    assert.ok(request instanceof Request);
    assert.equal(request.method, "PUT");
  },
  response: async (rows) => {
    const response = await rows.response(new Response("text", { status: 201 }));
    assert.ok(response instanceof Response);
    assert.deepEqual([response.status, await response.text()], [201, "text"]);
  },
  readable: async (rows) => {
    const stream = await rows.readable();
    assert.ok(stream instanceof ReadableStream);
    assert.equal(await text(stream), "hi");
  },
  byteStream: async (rows) => {
    const stream = await rows.byteStream(new Blob(["some bytes"]).stream());
    assert.ok(stream instanceof ReadableStream);
    assert.equal(await text(stream), "some bytes");
  },
  writable: async (rows) => {
    const stream = await rows.writable();
    assert.ok(stream instanceof WritableStream);
    const writer = stream.getWriter();
    await writer.write({ x: 1, y: 2 });
    await writer.close();
  },
  record: async (rows) => assert.deepEqual(await rows.record({ a: 1 }), { a: point }),
  tuple: async (rows) => assert.deepEqual(await rows.tuple(), [1, "two", null]),
  point: async (rows) => {
    assert.deepEqual(await rows.point(), point);
    assert.equal(await rows.point().x, 1);
  },
  names: async (rows) => {
    assert.deepEqual(await rows.names(), {
      "FIRST-NAME": "Ada",
      type: "k",
      "WITH-DEFAULT": 2,
      AT: new Date(0),
      OLD: "",
    });
  },
  flattened: async (rows) => assert.deepEqual(await rows.flattened(), { own: 1, ...point }),
  id: async (rows) => assert.equal(await rows.id(5), 5),
  pair: async (rows) => assert.deepEqual(await rows.pair(), [1, "two"]),
  shapes: async (rows) => {
    assert.deepEqual(await rows.shapes(), [
      "empty",
      { circle: 1.5 },
      { line: [point, point] },
      { rectangle: { topLeft: point, width: 3 } },
    ]);
  },
  events: async (rows) => {
    assert.deepEqual(await rows.events(), [
      { type: "logIn", userName: "Ada" },
      { type: "logOut" },
      { type: "moved", ...point },
      { type: "renamed!", SOME_TEXT: "text" },
    ]);
  },
  notices: async (rows) => {
    const notices = [{ kind: "of_text", data: "text" }, { kind: "of_nothing" }];
    assert.deepEqual(await rows.notices(), notices);
  },
  lengths: async (rows) => assert.deepEqual(await rows.lengths(), [1.5, { text: "10px" }, null]),
  color: async (rows) => assert.equal(await rows.color("darkGreen"), "red"),
  page: async (rows) => {
    assert.deepEqual(await rows.page(), { items: [point], next: null, byName: { a: point } });
  },
  tree: async (rows) => assert.deepEqual(await rows.tree(), { node: { children: [{ leaf: 1 }] } }),
  held: async (rows) => {
    const held = await rows.held();
    assert.ok(isStub(held.user));
    assert.equal(await held.double(4), 8);
  },
  store: async (rows) => {
    const store = rows.store();
    assert.deepEqual(await store.get("a"), point);
    assert.equal(await store.get("b"), null);
    assert.deepEqual(await store.keys(), ["a"]);
  },
  editor: async (rows) => {
    const editor = rows.editor();
    assert.equal(await editor.read(), "a document");
    assert.equal(await editor.write("text"), undefined);
  },
  read: async (rows) => assert.equal(await rows.read(rows.editor()), "a document"),
  value: async (rows) => assert.deepEqual(await rows.value({ a: [1] }), { a: [1] }),
  payload: async (rows) => assert.deepEqual(await rows.payload([1, null]), [1, null]),
  json: async (rows) => assert.deepEqual(await rows.json(), point),
  foreign: async (rows) => assert.deepEqual(await rows.foreign(), { x: 1 }),
  stub: async (rows) => assert.ok(isStub(await rows.stub(new LocalUser()))),
  other: async (rows) => assert.equal(await rows.whatever(1), "whatever"),
};

/**
 * Asks for all rows over a WebSocket; calls `tell` with the name of each and what was wrong, if anything was.
 */
export async function ask(socket, tell) {
  const main = newWebSocketRpcSession(socket);
  for (const [name, check] of Object.entries(rows)) {
    try {
      await check(main);
      tell(name);
    } catch (error) {
      tell(name, error);
    }
  }
  main[Symbol.dispose]();
}
