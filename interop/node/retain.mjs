import { RpcStub } from "capnweb";

/**
 * Copies a value for use after the call that brought it: the stubs in a call's arguments are
 * disposed when the call ends, so each is duplicated.
 */
export function retain(value) {
  if (value instanceof RpcStub) return value.dup();
  if (Array.isArray(value)) return Array.from(value, retain);
  if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, retain(inner)]));
  }
  return value;
}
