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
/** @typedef {ReadableStreamDefaultReader<Uint8Array>} Reader */
/** @typedef {WritableStreamDefaultWriter<Uint8Array>} Writer */

/** The longest message that is read, in UTF-16 code units, unless the session's limits say otherwise. */
const MAX_MESSAGE_SIZE = 32 * 1024 * 1024;

/** The size, in UTF-16 code units, up to which queued messages are gathered and written as one piece. */
const PIECE_SIZE = 64 * 1024;

/** The number of bytes that one write passes to the browser at most. */
const WRITE_SIZE = 64 * 1024;

/** The time that a peer has for its last step, in milliseconds: to take bytes, to say why it ends, or to close. */
const FAREWELL = 2000;

/**
 * Opens a session over WebTransport and returns the server's main object.
 *
 * @param {string | URL | WebTransport} target an `https:` URL, or a connection to use
 * @param {ConnectOptions} [connectOptions]
 *   those of `new WebTransport`; a certificate's hash may be a string in hexadecimal
 * @param {unknown} [localMain] the object that the server can call
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
 * When the connection fails, `receive` returns the messages that came before and then rejects, and so does each
 * later `send`, for the same reason. What the peer said last comes before what its silence would mean: after a
 * failed write the transport goes on reading for two seconds.
 *
 * @implements {RpcTransport}
 */
export class WebTransportTransport {
  /** @type {WebTransport} */
  #connection;
  /** Both ends of the stream. @type {Promise<{ reader: Reader, writer: Writer }>} */
  #stream;
  #isOpen = false;
  /** Messages that wait to be written. A server learns of a stream by its first bytes: so a blank line leads. */
  #outgoing = [""];
  /** Resumes the write loop when it sleeps. @type {(() => void) | undefined} */
  #wakeWriter;
  /** The write loop. It ends when everything is written after `abort`, or when writing fails. @type {Promise<void>} */
  #writing;
  /** The number of writes that succeeded, by which a slow peer is told from a mute one. */
  #written = 0;
  /** Set by `abort`: the write loop closes the stream when it has written everything. */
  #isClosing = false;
  /** Set when nothing can be sent; rejects with the reason. @type {Promise<never> | undefined} */
  #refusal;
  /** Rejects `#refusal`. @type {((reason: unknown) => void) | undefined} */
  #refuse;
  /** The beginning of a message whose end has not been read. */
  #partial = "";
  /** Whole messages, the next one last. @type {string[]} */
  #incoming = [];
  /** A read under way, which several calls of `receive` share. @type {Promise<void> | undefined} */
  #reading;
  /** Set when nothing more will be read. @type {{ reason: unknown } | undefined} */
  #readEnd;
  /** Runs while a broken connection has time to deliver its last messages. @type {ReturnType<typeof setTimeout> | undefined} */
  #lastWords;
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
    this.#connection.closed.then(
      () => this.#waitForLastWords(new Error("Peer closed WebTransport.")),
      (error) => this.#waitForLastWords(lost(error)),
    );
    this.#stream = this.#open();
    this.#stream.catch(() => {});
    this.#writing = this.#writeAll().catch((error) => this.#writeFailed(error));
  }

  async #open() {
    try {
      const closed = this.#connection.closed.then(() => {
        throw new Error("The connection was closed before its stream was open.");
      });
      const { readable, writable } = await Promise.race([this.#openStream(), closed]);
      this.#isOpen = true;
      return { reader: readable.getReader(), writer: writable.getWriter() };
    } catch (error) {
      const failure = new Error("WebTransport connection failed.", { cause: error });
      this.#endReading(failure);
      throw failure;
    }
  }

  async #openStream() {
    await this.#connection.ready;
    return this.#connection.createBidirectionalStream();
  }

  /**
   * Queues a message. Returns a promise only if the message cannot be sent: one that rejects with the reason.
   *
   * @param {string} message
   * @returns {void | Promise<void>}
   */
  send(message) {
    if (this.#refusal) return this.#refusal;
    this.#outgoing.push(message);
    this.#wakeWriter?.();
  }

  /**
   * Writes messages for as long as the connection lasts, those that have gathered in one piece.
   *
   * There is one loop, and nothing comes between its look at the queue and its sleep: so no message is left
   * behind, whenever it is sent.
   */
  async #writeAll() {
    const { writer } = await this.#stream;
    // Tells of a failure while the loop sleeps.
    writer.closed.catch((error) => this.#writeFailed(lost(error)));
    try {
      for (;;) {
        if (this.#outgoing.length > 0) {
          // The writer says when the peer has room; until then messages gather.
          await writer.ready;
          const piece = new TextEncoder().encode(this.#takePiece());
          for (let at = 0; at < piece.length; at += WRITE_SIZE) {
            await writer.write(piece.subarray(at, at + WRITE_SIZE));
            this.#written += 1;
          }
        } else if (this.#isClosing) {
          return await writer.close();
        } else {
          await new Promise((resolve) => (this.#wakeWriter = () => resolve(undefined)));
          this.#wakeWriter = undefined;
        }
      }
    } catch (error) {
      throw lost(error);
    }
  }

  /** Takes the next messages out of the queue, as lines. Writing may have failed meanwhile: then there are none. */
  #takePiece() {
    let size = 0;
    let count = 0;
    while (count < this.#outgoing.length && size < PIECE_SIZE) size += this.#outgoing[count++].length + 1;
    return this.#outgoing.splice(0, count).map((message) => `${message}\n`).join("");
  }

  /** @param {unknown} reason */
  #writeFailed(reason) {
    this.#outgoing = [];
    this.#wakeWriter?.();
    if (this.#refusal) return;
    if (this.#readEnd) return this.#refuseSends(this.#readEnd.reason);
    this.#refusal = new Promise((_, reject) => (this.#refuse = reject));
    this.#refusal.catch(() => {});
    this.#waitForLastWords(reason);
  }

  /** @param {unknown} reason */
  #refuseSends(reason) {
    this.#refusal ??= Promise.reject(reason);
    this.#refusal.catch(() => {});
    this.#refuse?.(reason);
  }

  /**
   * Ends reading for `reason`, unless the stream itself says within a short time why it ends.
   *
   * @param {unknown} reason
   */
  #waitForLastWords(reason) {
    if (this.#readEnd) return;
    this.#lastWords ??= setTimeout(() => {
      this.#endReading(reason);
      // This lets a pending read go.
      this.#stream.then(({ reader }) => reader.cancel(reason)).catch(() => {});
    }, FAREWELL);
  }

  /**
   * Returns the next message.
   *
   * @returns {Promise<string>}
   */
  async receive() {
    for (;;) {
      const message = this.#incoming.pop();
      if (message !== undefined) return message;
      if (this.#readEnd) throw this.#readEnd.reason;
      this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
      await this.#reading;
    }
  }

  /** Reads a chunk: its messages go to `#incoming`, the end of the stream to `#readEnd`. */
  async #read() {
    let chunk;
    try {
      const { reader } = await this.#stream;
      chunk = await reader.read();
    } catch (error) {
      return this.#endReading(lost(error));
    }
    if (this.#readEnd) return;
    let text;
    try {
      // The last line may go without its newline.
      text = this.#decoder.decode(chunk.value, { stream: !chunk.done }) + (chunk.done ? "\n" : "");
    } catch (error) {
      return this.#endReading(error);
    }
    const [first = "", ...others] = text.split("\n");
    const lines = [this.#partial + first, ...others];
    this.#partial = lines.pop() ?? "";
    this.#incoming = lines.filter((line) => line.trim() !== "").reverse();
    if (chunk.done) {
      this.#endReading(new Error("Peer closed WebTransport."));
    } else if (this.#partial.length > this.#maxMessageSize) {
      this.#endReading(new RangeError(`A message exceeds ${this.#maxMessageSize} UTF-16 code units.`));
    }
  }

  /** @param {unknown} reason */
  #endReading(reason) {
    if (this.#readEnd) return;
    this.#readEnd = { reason };
    this.#partial = "";
    clearTimeout(this.#lastWords);
    this.#refuse?.(reason);
  }

  /**
   * Ends the session: messages that were sent before are written, and then the connection is closed.
   *
   * @param {unknown} [reason]
   */
  abort(reason) {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#incoming = [];
    this.#endReading(reason);
    this.#refuseSends(reason);
    this.#wakeWriter?.();
    this.#close();
  }

  async #close() {
    // A server that is held up by what it sends to us would not get to what we have sent.
    this.#discard().catch(() => {});
    for (let before = -1; before < this.#written; ) {
      before = this.#written;
      if (await settles(this.#writing)) break;
    }
    // To close the connection would take back what the server has not read. It closes when it has.
    if (this.#isOpen) await settles(this.#connection.closed);
    try {
      this.#connection.close();
    } catch {
      // It never was open.
    }
  }

  async #discard() {
    const { reader } = await this.#stream;
    while (!(await reader.read()).done);
  }
}

/**
 * Waits for a promise, though not for longer than a farewell may take. Returns whether it settled.
 *
 * @param {Promise<unknown>} promise
 */
async function settles(promise) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, FAREWELL, false)));
  try {
    return await Promise.race([promise.then(() => true, () => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param {unknown} error */
function lost(error) {
  return new Error("WebTransport connection lost.", { cause: error });
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
