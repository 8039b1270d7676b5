// Uses of the declarations that the compiler has to take, of each row. Each type that arrives is asserted.

import { newWebSocketRpcSession, RpcTarget, type RpcPromise, type RpcStub } from "capnweb";
import type {
  Color,
  Editor,
  Event,
  Failure,
  Flattened,
  Further,
  Held,
  Length,
  Loose,
  Names,
  Notice,
  Mixed,
  Odd,
  Page,
  Pair,
  Point,
  Reader,
  Rows,
  Shape,
  Store,
  Tree,
  User,
} from "./rows.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Fails to compile unless the value is exactly of the type. */
function exactly<Expected>() {
  return <Actual>(_: Actual, ..._wrong: Equal<Expected, Actual> extends true ? [] : [never]) => {};
}

/** Fails to compile unless the value can be used as one of the type. */
function usable<Expected>(_: Expected) {}

class LocalUser extends RpcTarget implements User {
  async id() {
    return 8;
  }
  async name() {
    return "local";
  }
  async greet(name: string) {
    return `Hello ${name}`;
  }
}

export async function uses(url: string) {
  const rows = newWebSocketRpcSession<Rows>(url);

  // Interfaces: as results, pipelined, as arguments of every kind.
  const user = rows.user(3);
  exactly<string>()(await user.name());
  exactly<string>()(await rows.user(3).greet(rows.user(4).name()));
  await rows.nameOf(user);
  await rows.nameOf(await user);
  await rows.nameOf(new LocalUser());
  using awaited = await user;
  usable<RpcStub<User>>(awaited);
  awaited.dup();
  const count = await rows.eachUser(async (each) => {
    usable<RpcStub<User>>(each.dup());
    return await each.id();
  });
  exactly<number>()(count);
  for (const each of await rows.users()) exactly<string>()(await each.name());
  const maybe = await rows.maybeUser(true);
  if (maybe !== null) exactly<string>()(await maybe.name());
  const ids = await rows.users().map((each) => each.id());
  usable<number[]>(ids);

  // Members.
  exactly<string>()(await rows.title);
  exactly<boolean>()(await rows["renamed-method"]());
  await rows.oldTitle();

  // Errors.
  try {
    exactly<void>()(await rows.fail("lost"));
  } catch (thrown) {
    const failure = thrown as Failure;
    if (failure.code === "insufficient_funds") exactly<number>()(failure.balance);
    else exactly<"RangeError">()(failure.name);
  }

  // Functions.
  exactly<string>()(await rows.call((n) => n.toFixed()));
  await rows.call(async (n) => n.toFixed());
  await rows.callTwo((text, n) => void text.repeat(n));
  const double = await rows.doubler();
  exactly<number>()(await double(4));

  // Parameters.
  await rows.optional("a");
  await rows.optional("a", null);
  await rows.optional("a", undefined, { x: 1, y: 2 });
  await rows.optional("a", 1, { x: 1, y: 2, pointLabel: null });
  await rows.optional("a", rows.rest("a"), rows.point());
  exactly<number | null>()(await rows.optionalFirst(null, 1));
  await rows.optionalFirst(undefined, 1);
  await rows.rest("a");
  await rows.rest("a", 1, 2, 3);
  exactly<boolean>()(await rows.context(true));

  // Scalars.
  exactly<void>()(await rows.unit());
  exactly<undefined>()(await rows.undefined());
  exactly<string>()(await rows.text());
  exactly<number>()(await rows.number());
  exactly<number | bigint>()(await rows.unsigned(true));
  exactly<number | bigint>()(await rows.signed());
  exactly<number | bigint>()(await rows.large());
  exactly<number | bigint>()(await rows.huge());

  // Objects of the platform. What arrives can also be disposed of.
  usable<Date>(await rows.date(new Date()));
  usable<Uint8Array>(await rows.bytes(new Uint8Array(3)));
  const binary = await rows.binary();
  if (binary instanceof ArrayBuffer) usable<number>(binary.byteLength);
  usable<Float32Array>(await rows.floats(new Float32Array(3)));
  usable<URL>(await rows.url());
  usable<Error>(await rows.error());
  usable<Blob>(await rows.blob());
  usable<Headers>(await rows.headers(new Headers()));
  usable<Request>(await rows.request(new Request(url)));
  usable<Response>(await rows.response(new Response("")));

  // Streams.
  for await (const chunk of await rows.readable()) exactly<string>()(chunk);
  const bytes = await rows.byteStream(new Blob(["a"]).stream());
  usable<ReadableStream<Uint8Array>>(bytes);
  await (await rows.writable()).getWriter().write({ x: 1, y: 2 });

  // Data.
  const record = await rows.record({ a: 1 });
  exactly<number>()(record["a"].x);
  const tuple = await rows.tuple();
  exactly<string>()(tuple[1]);
  exactly<boolean | null>()(tuple[2]);
  const point = await rows.point();
  usable<Point>(point);
  exactly<string | null | undefined>()(point.pointLabel);
  exactly<number>()(await rows.point().x);
  const names: Names = await rows.names();
  exactly<string>()(names["FIRST-NAME"]);
  exactly<number | undefined>()(names["WITH-DEFAULT"]);
  usable<Date>(names.AT);
  const flattened: Flattened = await rows.flattened();
  exactly<number>()(flattened.own + flattened.x);
  exactly<number>()(await rows.id(5));
  const pair: Pair = await rows.pair();
  exactly<string>()(pair[1]);
  for (const shape of await rows.shapes()) area(shape);
  for (const event of await rows.events()) tell(event);
  for (const notice of await rows.notices()) heed(notice);
  for (const length of await rows.lengths()) measure(length);
  exactly<Color>()(await rows.color("darkGreen"));
  const page: Page<Point> = await rows.page();
  exactly<number | undefined>()(page.next?.items[0]?.x);
  const tree: Tree = await rows.tree();
  usable<number>(leaves(tree));
  const held = await rows.held();
  exactly<string>()(await held.user.name());
  exactly<number>()(await held.double(4));
  exactly<string>()(await rows.held().user.name());
  usable<keyof Held>("user");

  // Generics and supertraits.
  const store = rows.store();
  usable<RpcPromise<Store<string, Point>>>(store);
  exactly<number | undefined>()((await store.get("a"))?.x);
  usable<string[]>(await store.keys());
  await store.watch((key, value) => void key.repeat(value.x));
  const editor = rows.editor();
  exactly<string>()(await editor.read());
  await editor.write("text");
  await rows.read(editor);
  await rows.read(await rows.editor());
  usable<RpcStub<Reader>>(await rows.editor());
  usable<RpcStub<Editor>>(await rows.editor());

  // Anything.
  exactly<unknown>()((await rows.value({ a: [1] })) as unknown);
  await rows.payload(new LocalUser());
  usable<Point>(await rows.json());
  usable<unknown>(await rows.foreign());
  await rows.stub(new LocalUser());
  await rows.stub(user);
  await odd(await rows.odd());
}

export async function odd(odd: RpcStub<Odd>) {
  exactly<number>()(await odd.type(1));
  await odd.type(1, 2);
  await odd.delete(1, 2);
  await odd.accents(1, 2, 3);
  exactly<boolean>()(await odd['it\'s "quoted"']());
  exactly<number>()(await odd.größe);
  exactly<number | null>()((await odd.middle(1, undefined, 3))[1]);
  exactly<boolean | null>()((await odd.twice())[0]);
  await odd.optionalRest();
  await odd.optionalRest(null, 1, null);
  await odd.ping().pong().ping().again(odd.ping());
  const [left, right] = await odd.items();
  exactly<boolean>()(await left.left());
  exactly<boolean>()(right.right);
  const cache = odd.cache();
  exactly<number>()(await cache.hits());
  exactly<number | undefined>()((await cache.get("a"))?.x);
  usable<RpcStub<Store<string, Point>>>(await odd.cache());
  const document = odd.document();
  exactly<boolean>()(await document.left());
  exactly<string>()(await document.read());
  exactly<number>()((await odd.tree()).branches[0]?.value.value);
  exactly<unknown>()((await odd.opaque()).value);
  await odd.eachOpaque((it: unknown) => it !== null);
  for (const mixed of await odd.mixed()) mix(mixed);
  for (const adjacent of await odd.adjacent()) {
    if (adjacent.t === "it's") exactly<number>()(adjacent.c.someField);
    if (adjacent.t === "tuple") exactly<number>()(adjacent.c[1]);
  }
  const extended = await odd.extended();
  if (extended.kind === "colored") exactly<string>()(extended.colorName);
  exactly<boolean | null | undefined>()(extended["a-b c"]);
  exactly<number | undefined>()(extended.x);
  const further = await odd.further();
  exactly<string>()(further.name);
  exactly<unknown>()(further.age);
  const typed: Further = { name: "Ada", age: 36 };
  usable<Loose>(await odd.lone());
  usable<Loose>(null);
  exactly<string>()(await odd.converted("a"));
  exactly<number>()((await odd.transparent())[0].y);
  exactly<null | undefined>()(await odd.marker());
  exactly<number>()((await odd.numbered())["7"][0]);
  const standard = await odd.standard();
  exactly<string>()(standard.path_name + standard.address + standard.shared + standard.borrowed + standard.letter);
  exactly<number>()(standard.not_zero + standard.time.nanos + standard.bytes[0]);
  exactly<string>()(await odd.color("#010203"));
  exactly<string | null>()(await odd.decimal("1"));
  exactly<string>()((await odd.invoice()).items[0]);
  const model = await odd.model();
  if (model.type === "OneField") exactly<string>()(model.amount);
}

function mix(mixed: Mixed): number {
  if (typeof mixed === "string") return mixed.length;
  if ("named-fields" in mixed) return mixed["named-fields"].other_field ?? 0;
  if ("other-fields" in mixed) return mixed["other-fields"].ONE_FIELD;
  if ("pair" in mixed) return mixed.pair[0];
  return mixed.nested[1] ?? mixed.nested[0];
}

function area(shape: Shape): number {
  if (shape === "empty") return 0;
  if ("circle" in shape) return shape.circle ** 2 * Math.PI;
  if ("line" in shape) return shape.line[0].x * 0;
  return shape.rectangle.width * shape.rectangle.topLeft.x;
}

function tell(event: Event): string {
  switch (event.type) {
    case "logIn":
      return event.userName;
    case "logOut":
      return "";
    case "moved":
      return event.x.toFixed();
    case "renamed!":
      return event.SOME_TEXT ?? "";
  }
}

function heed(notice: Notice): string {
  return notice.kind === "of_text" ? notice.data : "";
}

function measure(length: Length): number {
  if (length === null || length === undefined) return 0;
  return typeof length === "number" ? length : length.text.length;
}

function leaves(tree: Tree): number {
  return "leaf" in tree ? 1 : tree.node.children.map(leaves).reduce((a, b) => a + b, 0);
}
