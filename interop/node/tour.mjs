// The API that the examples of the reference's documentation call: the property `tour` of the main
// object. `src/tour.rs` has the same in Rust.

import { RpcTarget } from "capnweb";

/** All users; their IDs count from 1. The token of a user is the name. */
const USERS = [
  { name: "Ada", active: true },
  { name: "Grace", active: true },
  { name: "Linus", active: false },
  { name: "Barbara", active: true },
];

function profile(id) {
  const user = USERS[id - 1];
  if (!user) throw new RangeError(`there is no user ${id}`);
  return { ...user };
}

const idOf = (name) => USERS.findIndex((user) => user.name === name) + 1;
const ids = () => USERS.map((_, index) => index + 1);

class Authed extends RpcTarget {
  #id;
  #authenticated;

  constructor(id, authenticated) {
    super();
    this.#id = id;
    this.#authenticated = authenticated.add(this);
  }

  get id() {
    return this.#id;
  }

  getUserId() {
    return this.#id;
  }

  getFriendIds() {
    return ids().filter((id) => id !== this.#id);
  }

  getNotifications() {
    return [`${profile(this.#id).name} has mail`];
  }

  [Symbol.dispose]() {
    this.#authenticated.delete(this);
  }
}

export class Tour extends RpcTarget {
  #authenticated = new Set();
  #listener;

  hello(name) {
    return `Hello, ${name}!`;
  }

  authenticate(token) {
    const id = idOf(token);
    if (id === 0) throw new Error("no such token");
    return new Authed(id, this.#authenticated);
  }

  authenticateAll(tokens) {
    return tokens.map((token) => this.authenticate(token));
  }

  authenticated() {
    return this.#authenticated.size;
  }

  getUserProfile(id) {
    return profile(id);
  }

  getUserName(id) {
    return profile(id).name;
  }

  listUserIds() {
    return ids();
  }

  findUserId(name) {
    return idOf(name) || null;
  }

  listTeams() {
    return [[1, 2], [], [3, 1]].map((memberIds) => ({ memberIds }));
  }

  getActiveUsers(ids) {
    return ids.map(profile).filter((user) => user.active);
  }

  first() {
    return 1;
  }

  second(n) {
    return n * 10 + 2;
  }

  third(n) {
    return n * 10 + 3;
  }

  getUserInfo() {
    return profile(1);
  }

  greet(name) {
    return `Welcome, ${name}!`;
  }

  log(id, n, at) {
    return `${id}: ${n} at ${at}`;
  }

  meeting() {
    return { host: this.authenticate("Grace") };
  }

  async subscribe(id, listener) {
    await listener.onEvent(profile(id).name);
  }

  registerListener(listener) {
    this.#listener?.[Symbol.dispose]();
    this.#listener = listener.dup();
  }

  async notify(message) {
    await this.#listener?.(message);
  }

  [Symbol.dispose]() {
    this.#listener?.[Symbol.dispose]();
  }
}
