import assert from "node:assert/strict";
import { once } from "node:events";
import { newHttpBatchRpcSession, RpcSession } from "capnweb";
import { ClientMain } from "./client-main.mjs";
import { PACKED_PATH, PackedTransport } from "./packed-transport.mjs";
import { RawPeer } from "./raw-peer.mjs";
import { WebSocket, WebSocketTransport } from "./transport.mjs";

const ONLY_MAIN = { imports: 1, exports: 1 };

/** What a check gets to work with, and what is cleaned up and looked at after it. */
export class Context {
  #connector;
  #leaks;
  #owned = [];
  #cleanups = [];
  #sessions = [];
  #home;

  /**
   * @param {{ over: "ws"|"batch", connector: Connector, sampling: Sampling }} how
   * @param {{ leaks?: string }} conditions
   */
  constructor({ over, connector, sampling }, { leaks }) {
    this.over = over;
    this.sampling = sampling;
    this.#connector = connector;
    this.#leaks = leaks;
  }

  /** The peer's main object, over this check's own WebSocket session. */
  get api() {
    return this.home.api;
  }

  get session() {
    return this.home.session;
  }

  get home() {
    this.#home ??= this.connect();
    return this.#home;
  }

  /**
   * Makes calls over the transport under test: in this check's session, or in a batch of its own.
   * Everything in `use` that is to be answered must be asked for before it first awaits; promises
   * that are only pipelined on go through its second argument, which has them disposed at the end.
   */
  async ask(use) {
    return use(this.over === "ws" ? this.api : this.batch(), (promise) => this.own(promise));
  }

  /** A session on a new WebSocket. */
  connect(options) {
    const opened = openSession(this.#connector.wsUrl(), new ClientMain(), options);
    this.#sessions.push(opened);
    return opened;
  }

  /** A session whose messages are MessagePack. */
  connectPacked() {
    const url = new URL(PACKED_PATH, this.#connector.wsUrl());
    const opened = openSession(url.href, new ClientMain(), {}, PackedTransport);
    this.#sessions.push(opened);
    return opened;
  }

  batch(path = "/") {
    return newHttpBatchRpcSession(this.#connector.httpUrl(path));
  }

  /** A request of our own making, where a batch is not what the check is about. */
  post(body, { method = "POST", path = "/", ...init } = {}) {
    return fetch(markedRaw(this.#connector.httpUrl(path)), { method, body, ...init });
  }

  /** A peer whose messages the check writes itself. */
  raw() {
    return this.closing(new RawPeer(markedRaw(this.#connector.wsUrl())));
  }

  /** The two ends of a new pair, where a proxy is under test. */
  pairUrls() {
    return this.#connector.pairUrls();
  }

  /** Takes a raw peer down with the check. */
  closing(peer) {
    this.#cleanups.push(() => peer.terminate());
    return peer;
  }

  /** Leaves a stub, promise or result to be disposed when the check ends. */
  own(disposable) {
    this.#owned.push(disposable);
    return disposable;
  }

  /** Waits for a condition that becomes true by itself, at once as a rule. */
  async until(what, condition) {
    const deadline = Date.now() + 3000;
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`in vain we waited: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** The peer answers a call over the transport under test. */
  async assertAnswers() {
    assert.equal(await this.ask((api) => api.square(2)), 4);
  }

  /** Both sides' tables must hold the main objects and nothing else. */
  async assertNothingLeaked() {
    for (const disposable of this.#owned.splice(0).reverse()) disposable[Symbol.dispose]();
    if (this.#leaks) return;
    for (const { api, session, over } of this.#sessions) {
      if (over) continue;
      let ours, theirs;
      const settled = async () => {
        theirs = await api.probe.stats();
        theirs.exports -= 1; // the very call that asks
        ours = session.getStats();
        return same(ours, ONLY_MAIN) && same(theirs, ONLY_MAIN);
      };
      await this.until("for empty tables", settled).catch((error) => {
        if (!ours) throw error;
        assert.deepEqual({ ours, theirs }, { ours: ONLY_MAIN, theirs: ONLY_MAIN }, "the tables hold more than the mains");
      });
    }
  }

  async close() {
    for (const cleanup of this.#cleanups) cleanup();
    const closed = this.#sessions.map(({ api, socket }) => {
      api[Symbol.dispose]();
      return socket.readyState === WebSocket.CLOSED || once(socket, "close", { signal: AbortSignal.timeout(1000) });
    });
    await Promise.allSettled(closed);
  }
}

/** Tells whoever records the session that the client may break the protocol on purpose. */
function markedRaw(url) {
  const marked = new URL(url);
  marked.search += marked.search ? "&raw" : "raw";
  return marked.href;
}

function openSession(url, main, options, Transport = WebSocketTransport) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const session = new RpcSession(new Transport(socket), main, options);
  const api = session.getRemoteMain();
  const opened = { socket, session, api, over: false, broken: undefined };
  opened.broken = new Promise((resolve) => {
    api.onRpcBroken((reason) => {
      opened.over = true;
      resolve(reason);
    });
  });
  return opened;
}

function same(a, b) {
  return a.imports === b.imports && a.exports === b.exports;
}
