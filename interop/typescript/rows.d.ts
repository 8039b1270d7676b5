// Made from Rust traits by capnweb. Changes by hand are overwritten.
import type { RpcStub, RpcTarget } from "capnweb";

/**
 * Every row of the table, as a method.
 *
 * ```
 * const rows = newWebSocketRpcSession<Rows>(url); /* a comment in an example *\/
 * ```
 */
export interface Rows extends RpcTarget {
  /**
   * An interface as a result.
   *
   * The second paragraph of its documentation.
   */
  user(id: number): Promise<User>;
  /** An interface as an argument. */
  nameOf(user: User): Promise<string>;
  /** An interface as the argument of a callback. */
  eachUser(onUser: (a: RpcStub<User>) => number | Promise<number>): Promise<number>;
  users(): Promise<User[]>;
  maybeUser(there: boolean): Promise<User | null>;
  /** A property. */
  readonly title: Promise<string>;
  "renamed-method"(): Promise<boolean>;
  /** @deprecated ask for `title` */
  oldTitle(): Promise<string>;
  /**
   * Fails as it is told to.
   *
   * @throws {Failure} `insufficient_funds`: There is not enough left.
   * @throws {Failure} `lost`
   */
  fail(code: string): Promise<void>;
  /** A callback for one argument, and one for several. */
  call(function_: (a: number) => string | Promise<string>): Promise<string>;
  callTwo(function_: (a: string, b: number) => void | Promise<void>): Promise<void>;
  doubler(): Promise<(a: number) => number | Promise<number>>;
  optional(first: string, second?: number | null, third?: Point | null): Promise<number>;
  optionalFirst(first: number | null | undefined, second: number): Promise<number | null>;
  rest(first: string, ...others: number[]): Promise<number>;
  context(delete_: boolean): Promise<boolean>;
  unit(): Promise<void>;
  undefined(): Promise<undefined>;
  text(): Promise<string>;
  number(): Promise<number>;
  unsigned(beyond: boolean): Promise<number | bigint>;
  signed(): Promise<number | bigint>;
  large(): Promise<number | bigint>;
  huge(): Promise<number | bigint>;
  date(date: Date): Promise<Date>;
  bytes(bytes: Uint8Array): Promise<Uint8Array>;
  binary(): Promise<ArrayBuffer | DataView | Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array | Float32Array | Float64Array>;
  floats(floats: Float32Array): Promise<Float32Array>;
  url(): Promise<URL>;
  error(): Promise<Error>;
  blob(): Promise<Blob>;
  headers(headers: Headers): Promise<Headers>;
  request(request: Request): Promise<Request>;
  response(response: Response): Promise<Response>;
  readable(): Promise<ReadableStream<string>>;
  byteStream(stream: ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>>;
  writable(): Promise<WritableStream<Point>>;
  record(map: Record<string, number>): Promise<Record<string, Point>>;
  tuple(): Promise<[number, string, boolean | null]>;
  point(): Promise<Point>;
  names(): Promise<Names>;
  flattened(): Promise<Flattened>;
  id(id: Id): Promise<Id>;
  pair(): Promise<Pair>;
  shapes(): Promise<Shape[]>;
  events(): Promise<Event[]>;
  notices(): Promise<Notice[]>;
  lengths(): Promise<Length[]>;
  color(color: Color): Promise<Color>;
  page(): Promise<Page<Point>>;
  tree(): Promise<Tree>;
  held(): Promise<Held>;
  store(): Promise<Store<string, Point>>;
  editor(): Promise<Editor>;
  read(reader: Reader): Promise<string>;
  value(value: unknown): Promise<unknown>;
  payload(payload: unknown): Promise<unknown>;
  json(): Promise<Point>;
  foreign(): Promise<unknown>;
  stub(stub: RpcStub<any>): Promise<RpcStub<any>>;
  // Answers to everything else.
  // Any other name can be called too: (...args: unknown[]) => Promise<string>
}

/** Extends [`Reader`]. */
export interface Editor extends Reader {
  write(text: string): Promise<void>;
}

export interface Reader extends RpcTarget {
  read(): Promise<string>;
}

/** A generic interface. */
export interface Store<K, V> extends RpcTarget {
  get(key: K): Promise<V | null>;
  all(): Promise<Page<V>>;
  keys(): Promise<K[]>;
  watch(onChange: (a: K, b: V) => void | Promise<void>): Promise<void>;
}

export interface User extends RpcTarget {
  id(): Promise<number>;
  name(): Promise<string>;
  /** A second method, whose argument can be a promise. */
  greet(name: string): Promise<string>;
}

export type Color =
  | "red"
  | "darkGreen";

/** Tagged by a member of its own. */
export type Event =
  | { type: "logIn"; userName: string }
  | { type: "logOut" }
  | ({ type: "moved" } & Point)
  | { type: "renamed!"; SOME_TEXT?: string | null };

export type Flattened = { own: number } & Point;

/** A value with capabilities in it. */
export interface Held {
  user: User;
  double: (a: number) => number | Promise<number>;
}

export type Id = number;

export type Length =
  | number
  | { text: string }
  | null;

export interface Names {
  "FIRST-NAME": string;
  type: string;
  "WITH-DEFAULT"?: number;
  LIST?: number[];
  AT: Date;
  /** @deprecated it is empty */
  OLD: string;
}

export type Notice =
  | { kind: "of_text"; data: string }
  | { kind: "of_nothing" };

/** A generic value. */
export interface Page<T> {
  items: T[];
  next?: Page<T> | null;
  byName: Record<string, T>;
}

export type Pair = [number, string];

/** A point *\/ of the plane. */
export interface Point {
  /** Rightwards. */
  x: number;
  y: number;
  pointLabel?: string | null;
}

export type Shape =
  | "empty"
  | { circle: number }
  | { line: [Point, Point] }
  | { rectangle: { topLeft: Point; width: number } };

/** A recursive value. */
export type Tree =
  | { leaf: number }
  | { node: { children: Tree[] } };

/** The ways in which `fail` fails. */
export type Failure =
  /** There is not enough left. */
  | (Error & { code: "insufficient_funds"; balance: number })
  | (Error & { code: "lost"; name: "RangeError" });
