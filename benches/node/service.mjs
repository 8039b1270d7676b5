// The object that is called, the same in every program under measurement.

import { RpcTarget } from "capnweb";

/** What streams travel in. */
export const CHUNK = 64 * 1024;

/** Bytes of every value, again and again. */
export function pattern(length) {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i;
  return bytes;
}

const DOWNLOADED = pattern(CHUNK);

export class Service extends RpcTarget {
  #level;

  constructor(level = 0) {
    super();
    this.#level = level;
  }

  add(a, b) {
    return a + b;
  }

  child() {
    return new Service(this.#level + 1);
  }

  /** How many `child()` lie between the main object and this one. */
  value() {
    return this.#level;
  }

  numbers(n) {
    return Array.from({ length: n }, (_, i) => i);
  }

  double(n) {
    return 2 * n;
  }

  echo(bytes) {
    return bytes;
  }

  async upload(stream) {
    let total = 0;
    for await (const chunk of stream) total += chunk.byteLength;
    return total;
  }

  download(n) {
    let left = n;
    return new ReadableStream({
      pull(controller) {
        const length = Math.min(left, CHUNK);
        left -= length;
        if (length > 0) controller.enqueue(DOWNLOADED.subarray(0, length));
        if (left === 0) controller.close();
      },
    });
  }
}
