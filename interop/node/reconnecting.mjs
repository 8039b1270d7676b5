import { newWebSocketRpcSession } from "capnweb";

/** Makes calls over sessions of which each takes the place of the one before. */
export class Reconnecting {
  #open;
  #current;

  /** `open` returns a new WebSocket. */
  constructor(open) {
    this.#open = open;
  }

  /** Makes a call, and makes it again if it is certain that it has not run. */
  async call(method, ...args) {
    for (;;) {
      const session = (this.#current ??= this.#start());
      try {
        return await session.api[method](...args);
      } catch (error) {
        const isRefused = error.code === "unavailable";
        if (!isRefused && !session.isOver) throw error;
        // The server is about to close the session, and later calls go to another one.
        this.#leave(session);
        const code = await session.closed;
        // With any other code, nobody knows whether the call has run.
        if (!isRefused && session.wasOpen && code !== 1012) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500 * Math.random()));
      }
    }
  }

  #start() {
    const socket = this.#open();
    const session = { wasOpen: false, isOver: false };
    session.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code }) => resolve(code));
    });
    socket.addEventListener("open", () => (session.wasOpen = true));
    session.api = newWebSocketRpcSession(socket);
    session.api.onRpcBroken(() => {
      session.isOver = true;
      this.#leave(session);
    });
    return session;
  }

  #leave(session) {
    if (this.#current === session) this.#current = undefined;
  }
}
