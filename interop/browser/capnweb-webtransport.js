// A WebTransport transport for npm `capnweb`. Copy this file, and its types beside it, next to your own:
//
//     import { newWebTransportRpcSession } from "./capnweb-webtransport.js";
//
//     const api = newWebTransportRpcSession("https://example.com/api");
//
// It speaks to servers of Cap'n Web for Rust, and to any other that reads and writes a message a line on
// the one bidirectional stream that the client opens.

import { RpcSession } from "capnweb";

/** @import { RpcLimits, RpcSessionOptions, RpcTransport } from "capnweb" */
/** @import { ConnectOptions } from "./capnweb-webtransport.js" */

/** The longest message that is read, in UTF-16 code units, unless the session's limits say otherwise. */
const MAX_MESSAGE_SIZE = 32 * 1024 * 1024;

/** How long the server has for closing after us, in milliseconds. */
const FAREWELL = 2000;

/**
 * Opens a session over WebTransport and gives the server's main object.
 *
 * @param {string | URL | WebTransport} target where to connect to, or what is connected already
 * @param {ConnectOptions} [connectOptions]
 *   those of `new WebTransport`; a certificate's hash may be a string in hexadecimal
 * @param {unknown} [localMain] what the server can call here
 * @param {RpcSessionOptions} [sessionOptions]
 * @returns {any}
 */
export function newWebTransportRpcSession(target, connectOptions, localMain, sessionOptions) {
  const transport = new WebTransportTransport(target, connectOptions, sessionOptions?.limits);
  return new RpcSession(transport, localMain, sessionOptions).getRemoteMain();
}

/**
 * The transport alone, for a `RpcSession` of your own.
 *
 * @implements {RpcTransport}
 */
export class WebTransportTransport {
  /** @type {WebTransport} */
  #connection;
  /** @type {Promise<WebTransportBidirectionalStream>} */
  #stream;
  /** Lines that are still to be written. @type {string[]} */
  #outgoing = ["\n"];
  /** Set while lines are being written. @type {Promise<void> | undefined} */
  #writing;
  /** What is read and not whole yet. */
  #partial = "";
  /** Whole messages, the next one last. @type {string[]} */
  #incoming = [];
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;
  #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #maxMessageSize;

  /**
   * @param {string | URL | WebTransport} target
   * @param {ConnectOptions} [connectOptions]
   * @param {Partial<RpcLimits>} [limits]
   */
  constructor(target, connectOptions, limits) {
    this.#maxMessageSize = limits?.maxMessageSize ?? MAX_MESSAGE_SIZE;
    this.#connection =
      typeof target === "string" || target instanceof URL
        ? new WebTransport(String(target), withHashes(connectOptions))
        : target;
    // Those who wait are told by the stream.
    this.#connection.closed.catch(() => {});
    this.#stream = this.#open();
    this.#stream.catch(() => {});
    // A server knows of a stream only when something comes by it: so the first line is a blank one.
    this.#write();
  }

  async #open() {
    try {
      await this.#connection.ready;
      return await this.#connection.createBidirectionalStream();
    } catch (error) {
      throw new Error("WebTransport connection failed.", { cause: error });
    }
  }

  /** @param {string} message */
  send(message) {
    this.#outgoing.push(message, "\n");
    this.#write();
  }

  /** Writes what there is, all that has gathered in one piece. What goes wrong, `receive` tells. */
  #write() {
    this.#writing ??= this.#writeAll()
      .catch(() => this.#outgoing.splice(0))
      .then(() => {
        this.#writing = undefined;
      });
  }

  async #writeAll() {
    const { writable } = await this.#stream;
    const writer = writable.getWriter();
    try {
      while (this.#outgoing.length > 0) {
        await writer.ready;
        await writer.write(new TextEncoder().encode(this.#outgoing.splice(0).join("")));
      }
    } finally {
      writer.releaseLock();
    }
  }

  /** @returns {Promise<string>} */
  async receive() {
    for (;;) {
      const message = this.#incoming.pop();
      if (message !== undefined) return message;
      await this.#read();
    }
  }

  async #read() {
    this.#reader ??= (await this.#stream).readable.getReader();
    let chunk;
    try {
      chunk = await this.#reader.read();
    } catch (error) {
      throw new Error("WebTransport connection lost.", { cause: error });
    }
    // The last line may go without its newline.
    const text = this.#decoder.decode(chunk.value, { stream: !chunk.done }) + (chunk.done ? "\n" : "");
    const [first = "", ...others] = text.split("\n");
    const lines = [this.#partial + first, ...others];
    this.#partial = lines.pop() ?? "";
    this.#incoming = lines.filter((line) => line.trim() !== "").reverse();
    if (this.#partial.length > this.#maxMessageSize) {
      throw new RangeError(`A message exceeds ${this.#maxMessageSize} UTF-16 code units.`);
    }
    if (chunk.done && this.#incoming.length === 0) throw new Error("Peer closed WebTransport.");
  }

  /** The session is over: what there is to send is sent, and the connection is closed. */
  abort() {
    this.#close().catch(() => {}).then(() => this.#connection.close());
  }

  async #close() {
    const { writable } = await this.#stream;
    await this.#writing;
    await writable.close();
    // To close the connection would take back what the server has not read. It closes when it has.
    await Promise.race([this.#connection.closed, new Promise((resolve) => setTimeout(resolve, FAREWELL))]);
  }
}

/**
 * @param {ConnectOptions} [options]
 * @returns {WebTransportOptions | undefined}
 */
function withHashes(options) {
  const hashes = options?.serverCertificateHashes;
  if (!hashes) return /** @type {WebTransportOptions | undefined} */ (options);
  return { ...options, serverCertificateHashes: hashes.map(toHash) };
}

/**
 * @param {string | WebTransportHash} hash
 * @returns {WebTransportHash}
 */
function toHash(hash) {
  if (typeof hash !== "string") return hash;
  const digits = hash.replaceAll(":", "").match(/../g) ?? [];
  const value = Uint8Array.from(digits, (byte) => Number.parseInt(byte, 16));
  if (value.length !== 32) throw new TypeError("A SHA-256 hash has 64 hexadecimal digits.");
  return { algorithm: "sha-256", value };
}
