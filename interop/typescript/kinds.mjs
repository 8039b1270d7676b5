// Asks `capnweb-interop rows` for a value of each row, and looks at what it is in JavaScript: in Node and in a browser.

import * as assert from "./assert.mjs";
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
  odd: async (rows) => assert.ok(isStub(await rows.odd())),
};

const leaf = (value) => ({ value, branches: [], byName: {} });

/** What each row of the row `odd` gives. */
export const odd = {
  type: async (odd) => {
    assert.equal(await odd.type(1), 2);
    assert.equal(await odd.type(1, 3), 4);
  },
  delete: async (odd) => assert.equal(await odd.delete(1, 2), 3),
  accents: async (odd) => assert.equal(await odd.accents(1, 2, 3), 123),
  'it\'s "quoted"': async (odd) => assert.equal(await odd['it\'s "quoted"'](), true),
  größe: async (odd) => assert.equal(await odd.größe, 5),
  middle: async (odd) => {
    assert.deepEqual(await odd.middle(1, null, 3), [1, null, 3, null]);
    assert.deepEqual(await odd.middle(1, undefined, 3, 4), [1, null, 3, 4]);
  },
  twice: async (odd) => assert.deepEqual(await odd.twice(1), [true, null]),
  optionalRest: async (odd) => {
    assert.equal(await odd.optionalRest(), 0);
    assert.equal(await odd.optionalRest(null, 1, null, 2), 2);
  },
  ping: async (odd) => assert.ok(isStub(await odd.ping().pong().ping().again(odd.ping()))),
  items: async (odd) => {
    const [left, right] = await odd.items();
    assert.equal(await left.left(), true);
    assert.deepEqual(right, { right: true });
  },
  cache: async (odd) => {
    const cache = odd.cache();
    assert.equal(await cache.hits(), 3);
    assert.deepEqual(await cache.get("a"), point);
  },
  document: async (odd) => {
    const document = odd.document();
    assert.deepEqual([await document.read(), await document.left(), await document.length()], ["odd", true, 3]);
  },
  tree: async (odd) => {
    const tree = { ...leaf(leaf(1)), branches: [leaf(leaf(2))], byName: { none: null } };
    assert.deepEqual(await odd.tree(), tree);
  },
  opaque: async (odd) => assert.deepEqual(await odd.opaque(), leaf({ x: 1 })),
  eachOpaque: async (odd) => assert.equal(await odd.eachOpaque((it) => it.x === 1), true),
  mixed: async (odd) => {
    assert.deepEqual(await odd.mixed(), [
      "just-so",
      { "named-fields": { one_field: 1 } },
      { "other-fields": { ONE_FIELD: 1 } },
      { pair: [1, "two"] },
      { nested: [1, null] },
    ]);
  },
  adjacent: async (odd) => {
    assert.deepEqual(await odd.adjacent(), [
      { t: "unit" },
      { t: "newtype", c: point },
      { t: "tuple", c: [1, 2] },
      { t: "it's", c: { someField: 1 } },
    ]);
  },
  loose: async (odd) => assert.deepEqual(await odd.loose(), [[1, "two"], { x: 1 }, { y: null }, "text", null]),
  extended: async (odd) => {
    const extended = { own: 1, later: [], kind: "colored", colorName: "red", ...point };
    assert.deepEqual(await odd.extended(), extended);
  },
  further: async (odd) => assert.deepEqual(await odd.further(), { name: "Ada", age: 36 }),
  lone: async (odd) => assert.equal(await odd.lone(), undefined),
  converted: async (odd) => assert.equal(await odd.converted("text"), "text"),
  transparent: async (odd) => assert.deepEqual(await odd.transparent(), [point]),
  marker: async (odd) => assert.equal(await odd.marker(), undefined),
  numbered: async (odd) => assert.deepEqual(await odd.numbered(), { 7: [1, 2.5] }),
  standard: async (odd) => {
    assert.deepEqual(await odd.standard(), {
      path_name: "/tmp",
      address: "127.0.0.1",
      not_zero: 1,
      shared: "shared",
      borrowed: "borrowed",
      time: { secs: 1, nanos: 500_000_000 },
      letter: "x",
      bytes: [1, 2, 3],
    });
  },
  color: async (odd) => assert.equal(await odd.color("#010203"), "#030201"),
  decimal: async (odd) => assert.equal(await odd.decimal("1.50"), "1.50"),
  invoice: async (odd) => assert.deepEqual(await odd.invoice(), { total: "1.50", items: ["1.50"] }),
  model: async (odd) => {
    const model = { type: "OneField", created_at: new Date(0), amount: "1.50", other: 3 };
    assert.deepEqual(await odd.model(), model);
  },
  about: async (odd) => assert.equal((await odd.about()).main.kind, "reference"),
};

/** What can be read of the interfaces themselves. */
const introspection = {
  "$interface": async (rows) => {
    const found = await rows.$interface;
    assert.equal(found.version, 1);
    const main = found.interfaces.find((it) => it.id === found.main.id);
    assert.equal(main.name, "Rows");
    assert.ok(main.methods.length > 60, "all methods are there");
  },
  "$interface of a result that is not there yet": async (rows) => {
    const odd = rows.odd();
    const [found, about] = await Promise.all([odd.ping().$interface, odd.about()]);
    assert.deepEqual(found, about);
  },
  "$interface in a map": async (rows) => {
    const found = await rows.users().map((user) => user.$interface);
    assert.deepEqual(found.map((it) => it.interfaces[0].name), ["User", "User"]);
  },
};

/**
 * Asks for all rows over a WebSocket; calls `tell` with the name of each and what was wrong, if anything was.
 */
export async function ask(socket, tell) {
  const main = newWebSocketRpcSession(socket);
  const oddRows = main.odd();
  const checks = [
    ...Object.entries(rows).map(([name, check]) => [name, () => check(main)]),
    ...Object.entries(odd).map(([name, check]) => [`odd: ${name}`, () => check(oddRows)]),
    ...Object.entries(introspection).map(([name, check]) => [name, () => check(main)]),
  ];
  for (const [name, check] of checks) {
    try {
      await check();
      tell(name);
    } catch (error) {
      tell(name, error);
    }
  }
  main[Symbol.dispose]();
}
