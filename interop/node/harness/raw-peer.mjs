import { WebSocket } from "./transport.mjs";

/** A WebSocket without a session: the check writes each frame and sees each answer. */
export class RawPeer {
  #socket;
  #opened;
  #closed;
  #end;
  #received = [];
  #waiting = [];

  constructor(url) {
    this.#socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0 });
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.once("open", resolve);
      this.#socket.once("error", reject);
    });
    this.#opened.catch(() => {});
    this.#closed = new Promise((resolve) => {
      this.#socket.once("close", (code, reason) => {
        this.#end = { code, reason: reason.toString() };
        for (const waiter of this.#waiting.splice(0)) waiter.reject(closedError(this.#end));
        resolve(this.#end);
      });
    });
    this.#socket.on("error", () => {});
    this.#socket.on("message", (data) => this.#deliver(JSON.parse(data.toString())));
  }

  #deliver(message) {
    const at = this.#waiting.findIndex(({ wanted }) => wanted(message));
    if (at < 0) this.#received.push(message);
    else this.#waiting.splice(at, 1)[0].resolve(message);
  }

  #take(wanted) {
    const at = this.#received.findIndex(wanted);
    if (at >= 0) return Promise.resolve(this.#received.splice(at, 1)[0]);
    if (this.#end) return Promise.reject(closedError(this.#end));
    return new Promise((resolve, reject) => this.#waiting.push({ wanted, resolve, reject }));
  }

  /** Sends each frame: a string or Buffer as it is, anything else as JSON. */
  async send(...frames) {
    await this.#opened;
    for (const frame of frames) {
      const verbatim = typeof frame === "string" || Buffer.isBuffer(frame);
      this.#socket.send(verbatim ? frame : JSON.stringify(frame));
    }
  }

  /**
   * Sends one message in fragments, with a ping before each but the first. Resolves when the last ping is answered, for a
   * peer may leave out answers to those before (RFC 6455, section 5.5.3).
   */
  async sendFragments(...fragments) {
    await this.#opened;
    let answered;
    for (const [i, fragment] of fragments.entries()) {
      if (i === fragments.length - 1) answered = this.ping(`${i}`);
      else if (i > 0) this.#socket.ping(`${i}`);
      this.#socket.send(fragment, { fin: i === fragments.length - 1, binary: false });
    }
    await answered;
  }

  /** Resolves when the peer has answered with what it was sent. */
  async ping(text) {
    await this.#opened;
    const answered = new Promise((resolve, reject) => {
      const listen = (data) => {
        if (data.toString() !== text) return;
        this.#socket.off("pong", listen);
        resolve();
      };
      this.#socket.on("pong", listen);
      this.#closed.then((end) => reject(closedError(end)));
    });
    this.#socket.ping(text);
    return answered;
  }

  /** Reads nothing more until `resume`. */
  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  /** The next message, whatever it is. */
  next() {
    return this.#take(() => true);
  }

  /** The next message of this tag; others stay for later. */
  nextOf(tag) {
    return this.#take((message) => message[0] === tag);
  }

  /** How one export of the peer settled: its `resolve` or `reject`; other messages stay for later. */
  async outcome(id) {
    const message = await this.outcomeOrAbort(id);
    if (message[0] === "abort") throw new Error(`the peer aborted the session: ${JSON.stringify(message)}`);
    return message;
  }

  /** The same, or the end of the session if that comes first. */
  outcomeOrAbort(id) {
    return this.#take(([tag, of]) => tag === "abort" || ((tag === "resolve" || tag === "reject") && of === id));
  }

  /** Code and reason with which the peer ended the connection. */
  closed() {
    return this.#closed;
  }

  close(code, reason) {
    this.#socket.close(code, reason);
  }

  /** Goes away without a word, as a lost connection does. */
  terminate() {
    this.#socket.terminate();
  }
}

function closedError({ code, reason }) {
  return new Error(`the peer closed the WebSocket: ${code} ${reason}`);
}
