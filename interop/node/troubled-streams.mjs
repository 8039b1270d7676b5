// Streams with something the matter, or in them: the property `streams` of the probe.
// `src/streams.rs` has the same in Rust.

import { RpcTarget } from "capnweb";
import { Counter } from "./main-object.mjs";
import { countBytes, length, streamOf } from "./streams.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class TroubledStreams extends RpcTarget {
  #go;
  #told = new Promise((resolve) => (this.#go = resolve));

  failingStream(n) {
    return streamOf(n, (i) => `chunk ${i}`, (controller) => controller.error(new RangeError("out of chunks")));
  }

  counterStream(n) {
    return streamOf(n, (i) => new Counter(i));
  }

  async sumCounters(stream) {
    let sum = 0;
    for await (const counter of stream) {
      sum += await counter.increment(1);
      counter[Symbol.dispose]();
    }
    return sum;
  }

  async readSlowly(stream, ms) {
    let total = 0;
    for await (const chunk of stream) {
      total += length(chunk);
      await pause(ms);
    }
    return total;
  }

  async readWhenTold(stream) {
    const reader = stream.getReader();
    await this.#told;
    reader.releaseLock();
    return countBytes(stream);
  }

  go() {
    this.#go();
  }

  async readThenCancel(stream, n) {
    const reader = stream.getReader();
    for (let i = 0; i < n; i++) await reader.read();
    await reader.cancel(new RangeError("seen enough"));
  }

  async writeThenAbort(w, n) {
    const writer = w.getWriter();
    for (let i = 0; i < n; i++) await writer.write(`chunk ${i}`);
    await writer.abort(new RangeError("gave up"));
  }

  failingWritable(n) {
    let left = n;
    return new WritableStream({
      write() {
        if (left-- === 0) throw new RangeError("no more room");
      },
    });
  }
}
