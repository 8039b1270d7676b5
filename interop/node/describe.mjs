// How a peer saw a value, as text. The Rust server words it in the same way (`src/describe.rs`), so
// a check can tell what was really decoded from what was only handed through.

import { RpcStub } from "capnweb";

export function describe(value) {
  if (value === null) return "null";
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "boolean":
      return String(value);
    case "number":
      return `number ${Object.is(value, -0) ? "-0" : value}`;
    case "bigint":
      return `bigint ${value}`;
    case "string":
      return `string ${JSON.stringify(value.toWellFormed())}`;
  }
  if (value instanceof RpcStub) return "stub";
  if (Array.isArray(value)) return `[${Array.from(value, describe).join(", ")}]`;
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "date invalid" : `date ${value.getTime()}`;
  }
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
    return `${value.constructor.name} ${bytes.toString("hex")}`;
  }
  if (value instanceof URL) return `url ${value.href}`;
  if (value instanceof Error) return describeError(value);
  return describeObject(Object.entries(value));
}

function describeError(error) {
  const props = Object.entries(error).filter(([key]) => key !== "stack");
  const shown = props.length > 0 ? ` ${describeObject(props)}` : "";
  return `error ${error.name}: ${error.message}${shown}`;
}

function describeObject(entries) {
  return `{${entries.map(([key, inner]) => `${key}: ${describe(inner)}`).join(", ")}}`;
}
