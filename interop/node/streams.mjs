// The main object's streams. `src/streams.rs` has the same in Rust.

import { RpcTarget } from "capnweb";

export const length = (chunk) => chunk.byteLength ?? chunk.length;

/** A stream of what `make(i)` gives for 0 … n − 1, made when it is asked for. */
export function streamOf(n, make, after = (controller) => controller.close()) {
  let i = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (i < n) controller.enqueue(make(i++));
        else after(controller);
      },
    },
    { highWaterMark: 0 },
  );
}

export async function countBytes(stream) {
  let total = 0;
  for await (const chunk of stream) total += length(chunk);
  return total;
}

/** What the main object has. */
export class Streams extends RpcTarget {
  readable(n, size) {
    return streamOf(n, (i) => new Uint8Array(size).fill(i));
  }

  countBytes(stream) {
    return countBytes(stream);
  }

  writable() {
    return new WritableStream({});
  }

  async readAll(stream) {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of stream) text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    return text;
  }

  getStream() {
    return streamOf(1, () => "hi");
  }

  async writeTo(w) {
    const writer = w.getWriter();
    await writer.write("hi");
    await writer.close();
  }

  /** Through a stream of its own, since the argument is canceled when the call ends. */
  echoStream(stream) {
    const reader = stream.getReader();
    return new ReadableStream(
      {
        async pull(controller) {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }
}
