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
   * Fails with the given code.
   *
   * @throws {Failure} `insufficient_funds`: The balance is too low.
   * @throws {Failure} `lost`
   */
  fail(code: string): Promise<void>;
  /** A callback with one argument. */
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
  odd(): Promise<Odd>;
  // Handles all other calls.
  // Any other name can be called too: (...args: unknown[]) => Promise<string>
}

/** Extends a generic interface. */
export interface Cache<V> extends Store<string, V> {
  hits(): Promise<number>;
}

/** Extends two interfaces. */
export interface Document extends Reader, LeftItem {
  length(): Promise<number>;
}

/** Extends [`Reader`]. */
export interface Editor extends Reader {
  write(text: string): Promise<void>;
}

export interface LeftItem extends RpcTarget {
  left(): Promise<boolean>;
}

/** Unusual names and types. */
export interface Odd extends RpcTarget {
  type(in_: number, default_?: number | null): Promise<number>;
  delete(this_: number, arguments_: number): Promise<number>;
  /** Two parameters that have the same name in TypeScript. */
  accents(größe: number, move: number, move_: number): Promise<number>;
  "it's \"quoted\""(): Promise<boolean>;
  readonly größe: Promise<number>;
  middle(a: number, b: number | null | undefined, c: number, d?: number | null): Promise<[number, number | null, number, number | null]>;
  twice(of?: number | null): Promise<(boolean | null)[]>;
  optionalRest(first?: number | null, ...more: (number | null)[]): Promise<number>;
  ping(): Promise<Ping>;
  items(): Promise<[LeftItem, RightItem]>;
  cache(): Promise<Cache<Point>>;
  document(): Promise<Document>;
  tree(): Promise<Branch<Branch<number>>>;
  opaque(): Promise<Branch<unknown>>;
  eachOpaque(each: (a: unknown) => boolean | Promise<boolean>): Promise<boolean>;
  mixed(): Promise<Mixed[]>;
  adjacent(): Promise<Adjacent[]>;
  loose(): Promise<Loose[]>;
  extended(): Promise<Extended>;
  further(): Promise<Further>;
  lone(): Promise<Loose>;
  converted(converted: Converted): Promise<Converted>;
  transparent(): Promise<Transparent>;
  marker(): Promise<Marker>;
  numbered(): Promise<Record<string, number[]>>;
  standard(): Promise<Standard>;
  color(color: string): Promise<string>;
  decimal(amount: string): Promise<string | null>;
  invoice(): Promise<Invoice>;
  model(): Promise<Model>;
  about(): Promise<unknown>;
}

export interface Ping extends RpcTarget {
  pong(): Promise<Pong>;
  again(with_: Ping): Promise<Ping>;
}

export interface Pong extends RpcTarget {
  ping(): Promise<Ping>;
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

export type Adjacent =
  | { t: "unit" }
  | { t: "newtype"; c: Point }
  | { t: "tuple"; c: [number, number] }
  | { t: "it's"; c: { someField: number } };

/** A recursive generic. */
export interface Branch<T> {
  value: T;
  branches: Branch<T>[];
  byName: Record<string, Branch<T> | null>;
}

export type Color =
  | "red"
  | "darkGreen";

/** Is sent as another type. */
export type Converted = string;

/** A union with a tag. */
export type Event =
  | { type: "logIn"; userName: string }
  | { type: "logOut" }
  | ({ type: "moved" } & Point)
  | { type: "renamed!"; SOME_TEXT?: string | null };

export type Extended = { own: number; later?: number[]; "a-b c"?: boolean | null } & Tagged & Partial<Point>;

export type Flattened = { own: number } & Point;

/** Has properties of any name, and one of another type. */
export type Further = { name: string } & Record<string, unknown>;

/** A value with capabilities in it. */
export interface Held {
  user: User;
  double: (a: number) => number | Promise<number>;
}

export type Id = number;

export interface Invoice {
  total: string;
  items: string[];
}

export interface RightItem {
  right: boolean;
}

export type Length =
  | number
  | { text: string }
  | null | undefined;

export type Loose =
  | [number, string]
  | { x: number }
  | { y?: number | null }
  | string
  | null | undefined;

export type Marker = null | undefined;

/** Variants of every kind, some with their own attributes. */
export type Mixed =
  /** A variant without fields. */
  | "just-so"
  | { "named-fields": { one_field: number; other_field?: number | null } }
  | { "other-fields": { ONE_FIELD: number } }
  | { pair: [number, string] }
  | { nested: [number, number | null] };

/** A type of a crate that only depends on serde. */
export type Model =
  | {
    type: "OneField";
    /** The time of its creation. */
    created_at: Date;
    amount: string;
    other: unknown;
  }
  | { type: "Nothing" };

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
  /** Its radius. */
  | { circle: number }
  | { line: [Point, Point] }
  /** A square, if its height is not something else. */
  | {
    rectangle: {
      /** The corner where it begins. */
      topLeft: Point;
      width: number;
    };
  };

/** Types of the standard library. */
export interface Standard {
  path_name: string;
  address: string;
  not_zero: number;
  shared: string;
  borrowed: string;
  time: { secs: number | bigint; nanos: number };
  letter: string;
  bytes: number[];
}

export type Tagged =
  | { kind: "plain" }
  | { kind: "colored"; colorName: string };

export type Transparent = Point[];

/** A recursive value. */
export type Tree =
  | { leaf: number }
  | { node: { children: Tree[] } };

/** The errors of `fail`. */
export type Failure =
  /** The balance is too low. */
  | (Error & { code: "insufficient_funds"; balance: number })
  | (Error & { code: "lost"; name: "RangeError" });
