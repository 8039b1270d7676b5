// Messages as MessagePack in binary frames: what an application would write to have bytes travel raw.

import { decode, encode } from "@msgpack/msgpack";

/** Where servers of this harness expect it. */
export const PACKED_PATH = "/message-pack";

export class PackedTransport {
  encodingLevel = "jsonCompatibleWithBytes";
  #socket;
  #queue = [];
  #unsent = [];
  #waiting;
  #ended;

  constructor(socket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      for (const message of this.#unsent.splice(0)) socket.send(message);
    });
    socket.addEventListener("message", ({ data }) => this.#push(data));
    socket.addEventListener("close", ({ code, reason }) => this.#end(new Error(`Peer closed WebSocket: ${code} ${reason}`)));
    socket.addEventListener("error", () => this.#end(new Error("WebSocket connection failed.")));
  }

  send(message) {
    const packed = encode(message);
    if (this.#socket.readyState === 0) this.#unsent.push(packed);
    else this.#socket.send(packed);
    return packed.byteLength;
  }

  receive() {
    if (this.#queue.length > 0) return Promise.resolve(this.#queue.shift());
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  abort(reason) {
    this.#socket.close(3000, String(reason?.message ?? reason).slice(0, 100));
    this.#end(reason);
  }

  #push(data) {
    if (!(data instanceof ArrayBuffer)) return this.#end(new Error("a frame is not binary"));
    const message = decode(new Uint8Array(data));
    if (!this.#waiting) return void this.#queue.push(message);
    this.#waiting.resolve(message);
    this.#waiting = undefined;
  }

  #end(reason) {
    this.#ended ??= reason;
    this.#waiting?.reject(this.#ended);
    this.#waiting = undefined;
  }
}
