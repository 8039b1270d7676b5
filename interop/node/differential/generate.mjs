// Random values by the schemas of `src/differential`. Each comes as a pair: what is sent, and what is
// expected back. The two differ where a Rust type keeps less apart than JavaScript does: docs/values.md
// says where and why.

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * @param {import("./random.mjs").Random} random
 * @returns {{ sent: unknown, expected: unknown }}
 */
export function generate(random, schema, outer = []) {
  const [[kind, detail]] = Object.entries(schema);
  const of = (inner) => generate(random, inner, outer);
  switch (kind) {
    case "leaf":
      return leaves[detail](random);
    case "const":
      return same(detail);
    case "integer":
      return integer(random, BigInt(detail[0]), BigInt(detail[1]));
    case "option": {
      // Absent, `null` and `undefined` are all `None`, which is written as `null`.
      if (random.onceIn(3)) return { sent: random.pick([null, undefined]), expected: null };
      const { sent, expected } = of(detail);
      return { sent, expected: expected ?? null };
    }
    case "absent": {
      const { sent, expected } = of(detail);
      return { sent, expected: expected === null ? ABSENT : expected };
    }
    case "list":
      return list(random.items(3, () => of(detail)));
    case "tuple":
      return list(detail.map(of));
    case "map":
      return object(random.items(3, () => [key(random, detail), of(schema.of)]));
    case "variant":
      return object(Object.entries(detail).map(([key, inner]) => [key, of(inner)]));
    case "object":
      return object(random.shuffled(fields(random, detail, of)));
    case "either":
      return of(random.pick(detail));
    case "merge":
      return merged(random, detail.map(of));
    case "self":
      return tree(random, schema, outer);
    case "again":
      return tree(random, outer.at(-1 - detail), outer.slice(0, outer.length - 1 - detail));
    default:
      throw new Error(`the schema says ${kind}, which nothing here knows`);
  }
}

/** A property that is not written. */
const ABSENT = Symbol("absent");

function same(value) {
  return { sent: value, expected: value };
}

function list(items) {
  return { sent: items.map(({ sent }) => sent), expected: items.map(({ expected }) => expected) };
}

/** An object of pairs of a key and a value that was generated. */
function object(entries) {
  const sent = entries.map(([key, value]) => [key, value.sent]);
  const expected = entries.map(([key, value]) => [key, value.expected]);
  return {
    sent: Object.fromEntries(sent.filter(([, value]) => value !== ABSENT)),
    expected: Object.fromEntries(expected.filter(([, value]) => value !== ABSENT)),
  };
}

/** The fields of an object. One that may be nothing may be left out. */
function fields(random, schemas, of) {
  return Object.entries(schemas).map(([key, schema]) => {
    const { sent, expected } = of(schema);
    const isOption = "option" in schema || "absent" in schema;
    const isNothing = expected === null || expected === ABSENT;
    return [key, { sent: isOption && isNothing && random.onceIn(2) ? ABSENT : sent, expected }];
  });
}

/** One object of the properties of several, in any order. */
function merged(random, parts) {
  const sent = Object.fromEntries(random.shuffled(parts.flatMap((part) => Object.entries(part.sent))));
  return { sent, expected: Object.assign({}, ...parts.map((part) => part.expected)) };
}

/** A value that may hold others of its kind: its last variants do, and the others are leaves. */
function tree(random, schema, outer) {
  const inside = [...outer, schema];
  const { either } = schema.self;
  const nested = random.onceIn(2) ? random.nested(() => generate(random, random.pick(either), inside)) : undefined;
  if (nested) return nested;
  const leaves = either.filter((variant) => !holdsTrees(variant));
  return generate(random, random.pick(leaves), inside);
}

function holdsTrees(schema) {
  return /"(again|self)"/.test(JSON.stringify(schema));
}

/** A key that a receiver does not pass over, as its schema says. */
function key(random, schema) {
  if (schema.leaf === "string") return someKey(random);
  if (schema.leaf === "boolean") return random.pick(["true", "false"]);
  if (schema.integer) return String(BigInt(integer(random, ...schema.integer.map(BigInt)).expected));
  return generate(random, schema).expected;
}

function someKey(random) {
  const key = random.pick(["", "a", "b", "value", "type", "0", "10", "with space", "ключ", '"', "\\n", text(random)]);
  return isPassedOver(key) ? "other" : key.toWellFormed();
}

function isPassedOver(key) {
  return key in Object.prototype || key === "toJSON";
}

/** A big integer within bounds, at their edges as a rule. */
function within(random, least, most) {
  const edges = [least, most, most - 1n, 0n, 1n, 2n ** 53n - 1n, 2n ** 53n, 1n - 2n ** 53n, -(2n ** 53n)];
  const bits = BigInt(random.bits()) ** BigInt(1 + random.below(4)) >> BigInt(random.below(32));
  const number = random.pick([...edges, bits, bits, -bits, BigInt(random.below(256))]);
  return number >= least && number <= most ? number : least + ((bits - least) % (most - least + 1n));
}

/** An integer of a Rust type: written as a number or a bigint, and read from either. */
function integer(random, least, most) {
  const number = within(random, least, most);
  const isSafe = number <= SAFE && number >= -SAFE;
  if (random.onceIn(2)) return { sent: number, expected: isSafe ? Number(number) : number };
  if (isSafe) return same(Number(number));
  // The digits of a number are what counts, and JavaScript writes no more of them than tell it from others.
  const rounded = Number(number);
  const digits = String(rounded);
  const read = BigInt(digits.includes("e") ? rounded : digits);
  if (read < least || read > most) return same(number);
  // The one number that an integer of a type which derives serde's traits cannot be read from in an enum.
  if (random.isBuffered && (read < 0n || read >= 2n ** 63n)) return same(number);
  return { sent: rounded, expected: read };
}

function number(random) {
  const edges = [0, -0, 1, -1, 0.1, 1e21, 1e-7, 2 ** 53, 2 ** 60, -(2 ** 64), Number.MAX_VALUE, Number.MIN_VALUE];
  const odd = [NaN, Infinity, -Infinity];
  const bits = new DataView(new ArrayBuffer(8));
  bits.setUint32(0, random.bits());
  bits.setUint32(4, random.bits());
  return random.pick([...edges, ...odd, bits.getFloat64(0), bits.getFloat64(0), random.below(2000) / 8 - 100]);
}

/** JSON has no negative zero, so JavaScript sends none. */
function received(number) {
  return number === 0 ? 0 : number;
}

/** The number that a Rust `f32` is written as: a fraction has no more digits than tell it from others. */
function shortest(single) {
  if (!Number.isFinite(single) || Number.isInteger(single)) return single;
  for (let digits = 1; digits < 9; digits += 1) {
    const number = Number(single.toPrecision(digits));
    if (Math.fround(number) === single) return number;
  }
  return Number(single.toPrecision(9));
}

/** Whether a fraction lies halfway between two numbers of as many digits as tell it from others: either may be written. */
function isBetween(single) {
  const exact = String(single);
  return exact.endsWith("5") && exact.length === String(shortest(single)).length + 1;
}

function characters(random) {
  return random.pick(["a", '"', "\\", "/", "\0", "\n", "\u007f", "é", "\u2028", "\ufeff", "\uffff", "🦀", "\u{10ffff}"]);
}

function text(random) {
  const words = ["", "text", "export", "bigint", "undefined", "https://example.com/", "https://example.com/?a\\b", "null", "-5"];
  // What passes through serde's buffer is decoded, whatever it is for.
  const isLone = () => !random.isBuffered && random.onceIn(20);
  const odd = random.items(10, () => (isLone() ? random.pick(["\ud800", "\udfff"]) : characters(random)));
  return random.pick([random.pick(words), odd.join(""), characters(random).repeat(random.below(200))]);
}

function date(random) {
  const edges = [0, -1, 1_700_000_000_123, 8.64e15, -8.64e15, NaN];
  return new Date(random.onceIn(2) ? random.pick(edges) : (random.bits() - 2 ** 31) * 1000 + 7);
}

function bytes(random) {
  return Uint8Array.from({ length: random.below(random.pick([1, 2, 3, 4, 40, 2000])) }, () => random.below(256));
}

function binary(random) {
  const containers = [Uint8Array, ArrayBuffer, DataView, Int8Array, Uint16Array, Float64Array, BigUint64Array];
  const Container = random.pick(containers);
  const buffer = Uint8Array.from({ length: 8 * random.below(4) }, () => random.below(256)).buffer;
  return Container === ArrayBuffer ? buffer : new Container(buffer);
}

function url(random) {
  return new URL(
    random.pick([
      "https://example.com/",
      "https://example.com/a b?c=d#e",
      "https://example.com/?a\\b",
      "data:text/plain,hi",
      "http://[::1]:8080/x?y='z'",
      "mailto:ada@example.com",
    ]),
  );
}

function bigint(random) {
  const bits = BigInt(random.bits()) ** BigInt(1 + random.below(9));
  return random.pick([0n, 7n, -7n, 2n ** 53n, bits, -bits]);
}

const ERRORS = [Error, TypeError, RangeError, SyntaxError];

/**
 * An error. Those of other names become `Error` in JavaScript. Its message `isDecoded`, or passed on as it came, and
 * likewise what it carries if `hasDecoded`.
 */
function error(random, isDecoded, hasDecoded) {
  const message = text(random);
  const make = random.pick(ERRORS);
  const extra = [];
  if (random.onceIn(2)) extra.push(["code", same("a_code")]);
  if (random.onceIn(2)) extra.push(["at", same(date(random))]);
  if (random.onceIn(2)) extra.push(["detail", random.nested(() => anything(random, hasDecoded)) ?? same(null)]);
  if (random.onceIn(4)) extra.push(["cause", random.nested(() => error(random, hasDecoded, hasDecoded)) ?? same(null)]);
  const { sent, expected } = object(extra);
  return {
    sent: Object.assign(make(message), sent),
    expected: Object.assign(make(isDecoded ? message.toWellFormed() : message), expected),
  };
}

/** Any value: decoded, or passed on as it came. */
function anything(random, isDecoded) {
  const inner = () => anything(random, isDecoded);
  if (random.onceIn(3)) {
    const made = random.nested(() => list(random.items(4, inner)));
    if (made) return made;
  }
  if (random.onceIn(3)) {
    const made = random.nested(() => object(random.items(4, () => [someKey(random), inner()])));
    if (made) return made;
  }
  const leaf = random.pick([
    () => same(random.pick([null, undefined])),
    () => same(random.onceIn(2)),
    () => leaves.number(random),
    () => same(bigint(random)),
    () => (isDecoded ? leaves.string(random) : same(text(random))),
    () => same(date(random)),
    () => same(bytes(random)),
    () => same(binary(random)),
    () => same(url(random)),
    () => error(random, isDecoded, isDecoded),
    () => {
      // Receivers pass over what every JavaScript object has.
      const { sent, expected } = object([["a", random.nested(inner) ?? same(1)]]);
      return { sent: { ...sent, toString: 1, toJSON: 2 }, expected };
    },
  ]);
  return leaf();
}

const leaves = {
  nothing: (random) => ({ sent: random.pick([null, undefined]), expected: null }),
  undefined: () => same(undefined),
  boolean: (random) => same(random.onceIn(2)),
  number: (random) => {
    const sent = number(random);
    return { sent, expected: received(sent) };
  },
  single: (random) => {
    const single = Math.fround(number(random));
    const sent = isBetween(single) ? 0.5 : single;
    return { sent, expected: received(shortest(sent)) };
  },
  character: (random) => same(characters(random)),
  string: (random) => {
    const sent = text(random);
    return { sent, expected: sent.toWellFormed() };
  },
  otherKey: (random) => same(`x${someKey(random)}`),
  date: (random) => same(date(random)),
  time: (random) => same(new Date((random.bits() - 2 ** 31) * 1000)),
  bigint: (random) => same(bigint(random)),
  largeBigint: (random) => same(random.pick([1n, -1n]) * (10n ** 40n + BigInt(random.bits()))),
  url: (random) => same(url(random)),
  bytes: (random) => same(bytes(random)),
  binary: (random) => same(binary(random)),
  Float32Array: (random) => same(Float32Array.from(random.items(5, () => random.below(2000) / 8 - 100))),
  BigInt64Array: (random) => same(BigInt64Array.from(random.items(5, () => within(random, -(2n ** 63n), 2n ** 63n - 1n)))),
  error: (random) => error(random, true, false),
  any: (random) => anything(random, true),
  payload: (random) => anything(random, false),
};
