// The assertions that the checks of values need, which run in Node and in browsers.

function shown(value) {
  if (typeof value === "bigint") return `${value}n`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

export function ok(value, what = "it is true") {
  if (!value) throw new Error(`expected that ${what}`);
}

export function equal(actual, expected) {
  if (!Object.is(actual, expected)) throw new Error(`expected ${shown(expected)}, got ${shown(actual)}`);
}

export function deepEqual(actual, expected) {
  if (!isSame(actual, expected)) throw new Error(`expected ${shown(expected)}, got ${shown(actual)}`);
}

function isSame(a, b) {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), b.getTime());
  const [left, right] = [Object.keys(a), Object.keys(b)];
  return left.length === right.length && left.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]));
}
