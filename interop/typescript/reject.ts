// Mistakes that the compiler has to find. A line that it takes is an error of this file.

import { newWebSocketRpcSession, RpcTarget, type RpcStub } from "capnweb";
import type { Color, Event, Page, Point, Rows, Shape, User } from "./rows.js";

class Stranger extends RpcTarget {
  async id() {
    return "not a number";
  }
}

export async function mistakes(url: string) {
  const rows = newWebSocketRpcSession<Rows>(url);

  // @ts-expect-error: there is no such method
  rows.usr(3);
  // @ts-expect-error: the name is that on the wire
  rows.name_of(rows.user(3));
  // @ts-expect-error: an argument is missing
  rows.user();
  // @ts-expect-error: an argument too many
  rows.user(1, 2);
  // @ts-expect-error: an argument of another type
  rows.user("3");
  // @ts-expect-error: a promise of another type
  rows.user(rows.text());
  // @ts-expect-error: a plain object is no target
  rows.nameOf({ id: async () => 1, name: async () => "a", greet: async () => "b" });
  // @ts-expect-error: an object of another interface
  rows.nameOf(new Stranger());
  // @ts-expect-error: the promise of another interface
  rows.nameOf(rows.editor());
  // @ts-expect-error: a reader is no editor
  const editor: RpcStub<import("./rows.js").Editor> = await (null! as RpcStub<import("./rows.js").Reader>);
  // @ts-expect-error: the callback takes a user
  rows.eachUser((user: string) => user.length);
  // @ts-expect-error: the callback returns a number
  rows.eachUser((user) => user.name());
  // @ts-expect-error: a user may be missing
  (await rows.maybeUser(true)).name();
  // @ts-expect-error: a property is not called
  rows.title();
  // @ts-expect-error: a method is not a value
  const text: string = rows.text;
  // @ts-expect-error: a result is awaited first
  const early: string = rows.text();
  // @ts-expect-error: an optional argument of another type
  rows.optional("a", "b");
  // @ts-expect-error: the first argument cannot be left out
  rows.optionalFirst();
  // @ts-expect-error: further arguments are numbers
  rows.rest("a", 1, "b");
  // @ts-expect-error: nothing comes of it
  const unit: string = await rows.unit();
  // @ts-expect-error: it may be a bigint
  const unsigned: number = await rows.unsigned(true);
  // @ts-expect-error: a date is no number
  rows.date(5);
  // @ts-expect-error: text is no bytes
  rows.bytes("abc");
  // @ts-expect-error: another typed array
  rows.floats(new Float64Array(1));
  // @ts-expect-error: a stream of other chunks
  const stream: ReadableStream<number> = await rows.readable();
  // @ts-expect-error: chunks are points
  (await rows.writable()).getWriter().write("text");
  // @ts-expect-error: values are numbers
  rows.record({ a: "b" });
  // @ts-expect-error: a field is missing
  const point: Point = { x: 1 };
  // @ts-expect-error: there is no such field
  const other: Point = { x: 1, y: 2, label: "a" };
  // @ts-expect-error: a field may be missing
  const label: string = (await rows.point()).pointLabel;
  // @ts-expect-error: a skipped field does not cross
  (await rows.names()).secret;
  // @ts-expect-error: there is no such variant
  const color: Color = "blue";
  // @ts-expect-error: there is no such variant
  const shape: Shape = { square: 1 };
  // @ts-expect-error: the member of another variant
  const event: Event = { type: "logOut", userName: "a" };
  // @ts-expect-error: elements are points
  const page: Page<Point> = { items: [1], byName: {} };
  // @ts-expect-error: keys are strings
  rows.store().get(1);
  // @ts-expect-error: the values are points
  const value: string | null = await rows.store().get("a");
  // @ts-expect-error: anything has to be looked at first
  (await rows.foreign()).x;
  // @ts-expect-error: a user has no such method
  rows.user(3).read();
  // @ts-expect-error: implementations have all methods
  const made: User = new (class extends RpcTarget implements User {})();
}
