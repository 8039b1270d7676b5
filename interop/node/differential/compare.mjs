import { isDeepStrictEqual } from "node:util";
import { describe } from "../describe.mjs";

/** Whether a value came back as expected: of the same types, whatever the order of an object's keys. */
export function isSame(expected, got) {
  if (Array.isArray(expected)) {
    return Array.isArray(got) && got.length === expected.length && expected.every((item, at) => isSame(item, got[at]));
  }
  if (expected === null || typeof expected !== "object") return Object.is(expected, got);
  if (got === null || typeof got !== "object") return false;
  if (expected instanceof Uint8Array) return got instanceof Uint8Array && Buffer.compare(expected, got) === 0;
  if (expected instanceof ArrayBuffer || ArrayBuffer.isView(expected)) {
    const bytes = (value) => Buffer.from(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
    return got.constructor === expected.constructor && bytes(expected).equals(bytes(got));
  }
  if (expected instanceof Date) return got instanceof Date && Object.is(got.getTime(), expected.getTime());
  if (expected instanceof URL) return got instanceof URL && got.href === expected.href;
  if (expected instanceof Error) {
    const named = got instanceof Error && got.name === expected.name && got.message === expected.message;
    return named && isSame({ ...expected }, { ...got });
  }
  const keys = Object.keys(expected);
  if (!isDeepStrictEqual(keys.sort(), Object.keys(got).sort())) return false;
  return keys.every((key) => isSame(expected[key], got[key]));
}

/** Words for values, by which they can be told apart. */
export function inWords(...values) {
  const words = values.map(describe);
  const isTelling = new Set(words).size === words.length;
  return words.map((text, at) => shortened(isTelling ? text : JSON.stringify(withEverything(values[at]))));
}

function shortened(words) {
  return words.length > 1000 ? `${words.slice(0, 1000)}… (${words.length} characters)` : words;
}

/** What JSON leaves out. */
function withEverything(value) {
  if (Array.isArray(value)) return value.map(withEverything);
  if (typeof value === "string" || value === null) return value;
  const isObject = typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;
  if (!isObject && !(value instanceof Error)) return describe(value);
  const entries = Object.entries(value).map(([key, inner]) => [key, withEverything(inner)]);
  const named = isObject ? [] : [["error", `${value.name}: ${value.message}`]];
  return Object.fromEntries([...named, ...entries]);
}
