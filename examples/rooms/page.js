// The page of the rooms. `rooms.d.ts` is made from the traits in `src/api.rs`.

import { newWebSocketRpcSession } from "capnweb";

/**
 * @typedef {import("capnweb").RpcStub<import("./rooms.js").Front>} Front
 * @typedef {import("capnweb").RpcStub<import("./rooms.js").Room>} RoomStub
 * @typedef {import("./rooms.js").Message} Message
 */

const NAMES = ["lobby", "kitchen", "garden", "attic", "cellar", "library"];
/** After this time without an answer, the page shows that it waits. */
const PATIENCE = 400;
const me = `guest ${Math.floor(Math.random() * 10_000)}`;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Sessions, each of which takes the place of the one before.

class Session {
  isOver = false;
  /** @type {Map<string, RoomStub>} */
  rooms = new Map();

  constructor() {
    /** @type {Front} */
    this.front = newWebSocketRpcSession(Object.assign(new URL("/api", location.href), { protocol: "ws:" }).href);
    this.front.onRpcBroken(() => (this.isOver = true));
    this.front.node().then((name) => (document.getElementById("state").textContent = `This page is connected to ${name}.`), () => {});
    for (const room of rooms) {
      this.rooms.set(room.name, this.front.room(room.name));
      this.front.watch(room.name, (message) => room.add([message])).catch(() => {});
    }
  }
}

/** @type {Session | undefined} */
let latest;

/** Returns the session, which is opened if there is none. */
function current() {
  if (!latest || latest.isOver) latest = new Session();
  return latest;
}

/**
 * Makes a call in one session after another until it is answered. The call has to be idempotent.
 *
 * @template T
 * @param {(session: Session) => PromiseLike<T>} call
 */
async function answered(call) {
  for (;;) {
    const session = current();
    try {
      return await call(session);
    } catch (error) {
      console.info(`again, since ${error.message}`);
      // The node is stopping, and the next session is with another one.
      if (error.code === "unavailable") session.isOver = true;
      await sleep(50 + 200 * Math.random());
    }
  }
}

// Rooms.

class Room {
  /** @type {Message[]} by their positions */
  messages = [];
  /** The number of my last message. */
  number = 0;

  constructor(name) {
    this.name = name;
    this.card = document.createElement("article");
    this.card.dataset.room = name;
    this.card.innerHTML = `<h3>${name}<small></small></h3><ol></ol><form><input placeholder="say something" aria-label="message"></form>`;
    this.card.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const input = this.card.querySelector("input");
      this.post(input.value);
      input.value = "";
    });
  }

  /** @param {string} text */
  async post(text) {
    // The number makes it idempotent.
    const number = ++this.number;
    this.add([await answered(({ rooms }) => rooms.get(this.name).post(me, number, text))]);
  }

  /** @param {Message[]} messages */
  add(messages) {
    for (const message of messages) this.messages[message.position] = message;
    const list = this.card.querySelector("ol");
    list.replaceChildren(
      ...this.messages.filter(Boolean).slice(-3).map(({ sender, text }) => {
        const item = document.createElement("li");
        item.textContent = `${sender}: ${text}`;
        return item;
      }),
    );
  }

  /** Shows again and again where the room lives. */
  async follow() {
    for (;;) {
      const late = setTimeout(() => this.card.classList.add("moving"), PATIENCE);
      const { node, epoch, length } = await answered(({ rooms }) => rooms.get(this.name).place());
      clearTimeout(late);
      this.card.classList.remove("moving");
      this.card.querySelector("small").textContent = `messages: ${length}, epoch: ${epoch}`;
      nodes.get(node)?.hold(this.card);
      // Messages that were not passed on are in the log.
      let known = 1;
      while (this.messages[known]) known += 1;
      if (known <= length) this.add(await answered(({ rooms }) => rooms.get(this.name).messages(known - 1)));
      await sleep(250);
    }
  }
}

// Nodes.

class Node {
  constructor(name) {
    this.name = name;
    this.place = document.createElement("section");
    this.place.dataset.node = name;
    this.place.innerHTML = `<header><h2>node ${name}</h2><span></span><button>stop</button><button>kill -9</button></header>`;
    const [stop, kill] = this.place.querySelectorAll("button");
    // The call that kills has no answer.
    stop.addEventListener("click", () => this.#switch().stop().catch(() => {}));
    kill.addEventListener("click", () => this.#switch().kill().catch(() => {}));
    document.getElementById("nodes").append(this.place);
  }

  #switch() {
    return current().front.switch(this.name);
  }

  /** @param {HTMLElement} card */
  hold(card) {
    if (card.parentElement !== this.place) this.place.append(card);
  }

  /** Shows again and again whether the node is there. */
  async follow() {
    for (;;) {
      const late = setTimeout(() => this.#show("down", true), PATIENCE);
      try {
        // One of them is the switch.
        const rooms = (await this.#switch().objects()) - 1;
        clearTimeout(late);
        this.#show(`rooms: ${rooms}`, false);
      } catch {
        // It may be there later.
      }
      await sleep(250);
    }
  }

  #show(state, isDown) {
    this.place.querySelector("span").textContent = state;
    this.place.classList.toggle("down", isDown);
  }
}

const rooms = NAMES.map((name) => new Room(name));
/** @type {Map<string, Node>} */
const nodes = new Map();
for (const name of await answered(({ front }) => front.nodes())) nodes.set(name, new Node(name));
for (const part of [...nodes.values(), ...rooms]) part.follow();
