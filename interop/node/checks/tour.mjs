// The examples of the reference's documentation, as a JavaScript user writes them.
// `src/client/tour/` has them as a Rust user does.

import assert from "node:assert/strict";
import { RpcPromise, RpcSession, RpcStub, RpcTarget } from "capnweb";
import { BOTH, topic } from "../harness/registry.mjs";

const check = topic("tour");
const BATCH = { over: ["batch"] };

/** Why the tables are not looked at after a JavaScript client's map that captures a stub. */
const CAPTURES_STAY = "the reference never releases what its own maps capture";

/** A listener that writes down what it hears, and counts its end. */
class Writer extends RpcTarget {
  heard = [];
  disposed = 0;

  onEvent(event) {
    this.heard.push(event);
  }

  [Symbol.dispose]() {
    this.disposed += 1;
  }
}

/** A session of which the check plays the peer, to see the messages. */
function scripted() {
  const sent = [];
  const waiting = [];
  const transport = {
    send: async (message) => void sent.push(JSON.parse(message)),
    receive: () => new Promise((resolve) => waiting.push(resolve)),
  };
  const session = new RpcSession(transport);
  const receive = (message) => waiting.shift()(JSON.stringify(message));
  return { tour: session.getRemoteMain().tour, sent, receive };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

// --- the README and the pipelining tour

check("hello", BOTH, async (t) => {
  assert.equal(await t.ask((api) => api.tour.hello("World")), "Hello, World!");
});

check("three dependent calls in one round trip", BOTH, async (t) => {
  const friends = await t.ask((api, own) => {
    const authed = own(api.tour.authenticate("Ada"));
    return own(authed.getFriendIds()).map((id) => api.tour.getUserProfile(id));
  });
  assert.deepEqual(friends.map((friend) => friend.name), ["Grace", "Linus", "Barbara"]);
});

check("a naive client waits four times", async (t) => {
  const api = t.api.tour;
  const authed = t.own(await api.authenticate("Ada"));
  const id = await authed.getUserId();
  assert.equal((await api.getUserProfile(id)).name, "Ada");
  assert.deepEqual(await authed.getFriendIds(), [2, 3, 4]);
});

check("five dependent calls in one request", BATCH, async (t) => {
  const api = t.batch().tour;
  const authed = api.authenticate("Ada");
  const id = authed.getUserId();
  const profilePromise = api.getUserProfile(id);
  const friendsPromise = authed.getFriendIds().map((id) => ({ id, profile: api.getUserProfile(id) }));
  const [profile, friends] = await Promise.all([profilePromise, friendsPromise]);
  assert.equal(profile.name, "Ada");
  assert.deepEqual(friends.map(({ id, profile }) => [id, profile.name]), [[2, "Grace"], [3, "Linus"], [4, "Barbara"]]);
  // One request it was: the batch can make no other, and what was not awaited in time did not come along.
  await assert.rejects(Promise.resolve(id), /Batch RPC request ended/);
  await assert.rejects(Promise.resolve().then(() => api.first()), /Batch RPC request ended/);
});

check("properties pipeline too", BOTH, async (t) => {
  const profile = await t.ask((api, own) => {
    const user = own(api.tour.authenticate("Grace"));
    return api.tour.getUserProfile(user.id);
  });
  assert.equal(profile.name, "Grace");
});

check("a WebSocket is free to await whenever it likes", async (t) => {
  const authed = t.own(t.api.tour.authenticate("Linus"));
  assert.equal(await authed.getUserId(), 3);
  assert.deepEqual(await authed.getFriendIds(), [1, 2, 4]);
  assert.equal(await authed.id, 3);
});

// --- promises

check("a promise is also a stub", BOTH, async (t) => {
  assert.deepEqual(await t.ask((api, own) => own(api.tour.authenticate("Ada")).getNotifications()), ["Ada has mail"]);
});

check("calls chained one into the other", BOTH, async (t) => {
  const answer = await t.ask((api, own) => api.tour.third(own(api.tour.second(own(api.tour.first())))));
  assert.equal(answer, 123);
});

check("one round trip is three messages that wait for nothing", async () => {
  const { tour, sent, receive } = scripted();
  const answer = tour.third(tour.second(tour.first())).then((value) => value);
  await turn();
  assert.deepEqual(sent.map(([kind]) => kind), ["push", "push", "push", "pull"]);
  assert.deepEqual(sent[0], ["push", ["pipeline", 0, ["tour", "first"], []]]);
  receive(["resolve", 3, 123]);
  assert.equal(await answer, 123);
  assert.deepEqual(sent.slice(4).map(([kind]) => kind), ["release"]);
});

check("transforming without pulling data back", BOTH, async (t) => {
  const names = await t.ask((api, own) => own(api.tour.listUserIds()).map((id) => [id, api.tour.getUserName(id)]));
  assert.deepEqual(names, [[1, "Ada"], [2, "Grace"], [3, "Linus"], [4, "Barbara"]]);
});

async function connectWhenReady(t) {
  await new Promise((resolve) => setTimeout(resolve, 10));
  return t.connect().api.tour.dup();
}

check("calls on what is not connected yet", async (t) => {
  const session = t.own(new RpcPromise(connectWhenReady(t)));
  const profile = session.getUserProfile(2);
  assert.equal(await session.hello("early"), "Hello, early!");
  assert.equal((await profile).name, "Grace");
});

check("a promise of one's own is a local call that returns it", async (t) => {
  const connect = t.own(new RpcStub(() => connectWhenReady(t)));
  assert.equal(await t.own(connect()).hello("early"), "Hello, early!");
});

check("a promise of one's own as an argument and in flight", async (t) => {
  let settle;
  const id = t.own(new RpcPromise(new Promise((resolve) => (settle = resolve))));
  const name = t.api.tour.getUserName(id).then((name) => name);
  assert.equal(await t.api.tour.first(), 1);
  settle(4);
  assert.equal(await name, "Barbara");
});

check("a promise of one's own owns the objects it resolves to", async () => {
  const writer = new Writer();
  const kept = new RpcStub(writer);
  const promise = new RpcPromise(Promise.resolve(kept.dup()));
  await promise.onEvent("by the promise");
  promise[Symbol.dispose]();
  await kept.onEvent("by the dup");
  assert.deepEqual(writer.heard, ["by the promise", "by the dup"]);
  assert.equal(writer.disposed, 0);
  kept[Symbol.dispose]();
  await turn();
  assert.equal(writer.disposed, 1);
});

check("a rejection reaches every call that was made on it", async (t) => {
  const session = t.own(new RpcPromise(Promise.reject(new RangeError("not today"))));
  const authed = t.own(session.authenticate("Ada"));
  const expected = { name: "RangeError", message: "not today" };
  await assert.rejects(Promise.resolve(session.hello("you")), expected);
  await assert.rejects(Promise.resolve(authed.getUserId()), expected);
  await assert.rejects(Promise.resolve(t.api.tour.greet(session.hello("you"))), expected);
});

check("a promise that is only passed on is never sent back", BOTH, async (t) => {
  const greeting = await t.ask((api, own) => api.tour.greet(own(api.tour.getUserInfo()).name));
  assert.equal(greeting, "Welcome, Ada!");

  const { tour, sent } = scripted();
  Promise.resolve(tour.greet(tour.getUserInfo().name));
  await turn();
  assert.deepEqual(sent.filter(([kind]) => kind === "pull"), [["pull", 2]]);
});

check("a property that will be a stub is one at once", async (t) => {
  const meeting = t.api.tour.meeting();
  const host = meeting.host.dup();
  meeting[Symbol.dispose]();
  assert.equal(await host.getUserId(), 2);
  assert.deepEqual(await host.getNotifications(), ["Grace has mail"]);
  host[Symbol.dispose]();
  await t.until("for its end", async () => (await t.api.tour.authenticated()) === 0);
});

// --- the magic map()

check("map on a list, on a value and on nothing", BOTH, async (t) => {
  const answers = await t.ask((api, own) => {
    const name = (id) => api.tour.getUserName(id);
    const list = own(api.tour.listUserIds()).map(name);
    const value = own(api.tour.findUserId("Linus")).map(name);
    const nothing = own(api.tour.findUserId("Nobody")).map(name);
    return Promise.all([list, value, nothing]);
  });
  assert.deepEqual(answers, [["Ada", "Grace", "Linus", "Barbara"], "Linus", null]);
});

check("what a closure computes is computed once", BOTH, async (t) => {
  let n = 0;
  const lines = await t.ask((api, own) => own(api.tour.listUserIds()).map((id) => api.tour.log(id, n, `half past ${n++}`)));
  assert.deepEqual(lines, [1, 2, 3, 4].map((id) => `${id}: 0 at half past 0`));
  assert.equal(n, 1);
});

check("branching on an element goes one way for all", BOTH, async (t) => {
  const [compared, truthy] = await t.ask((api, own) => {
    const ids = own(api.tour.listUserIds());
    return Promise.all([
      ids.map((id) => (id > 2 ? api.tour.greet("a late one") : api.tour.getUserName(id))),
      ids.map((id) => (id ? api.tour.getUserName(id) : api.tour.greet("nobody"))),
    ]);
  });
  assert.deepEqual(compared, ["Ada", "Grace", "Linus", "Barbara"]);
  assert.deepEqual(truthy, compared);
});

check("an async closure and a new object in one are refused", async (t) => {
  const api = t.api.tour;
  const ids = t.own(api.listUserIds());
  // The documentation knows of clearer words than the code finds.
  assert.throws(() => ids.map(async (id) => await api.getUserName(id)), Error);
  assert.throws(() => ids.map((id) => api.subscribe(id, new Writer())), Error);
  assert.throws(() => ids.map((id) => [...id]), TypeError);
  assert.equal(await api.first(), 1);
});

check("a call inside a closure is made for each element", { leaks: CAPTURES_STAY }, async (t) => {
  let count = 0;
  const counter = t.own(new RpcStub({ increment: () => void (count += 1) }.increment));
  const names = await t.own(t.api.tour.listUserIds()).map((id) => {
    counter();
    return t.api.tour.getUserName(id);
  });
  assert.equal(names.length, 4);
  await t.until("for the last call", () => count === 4);
});

check("a listener that a closure uses is made before it", { leaks: CAPTURES_STAY }, async (t) => {
  const writer = new Writer();
  const listener = t.own(new RpcStub(writer));
  await t.own(t.api.tour.listUserIds()).map((id) => t.api.tour.subscribe(id, listener.dup()));
  assert.deepEqual(writer.heard, ["Ada", "Grace", "Linus", "Barbara"]);
  await listener.onEvent("still here");
  assert.equal(writer.disposed, 0);
});

check("a stub that a closure uses without a dup is consumed", { leaks: CAPTURES_STAY }, async (t) => {
  const writer = new Writer();
  const listener = new RpcStub(writer);
  await t.own(t.api.tour.listUserIds()).map((id) => t.api.tour.subscribe(id, listener));
  assert.deepEqual(writer.heard, ["Ada", "Grace", "Linus", "Barbara"]);
  await assert.rejects(Promise.resolve().then(() => listener.onEvent("too late")), /after it was disposed/);
});

check("filtering is a method of the peer's", BOTH, async (t) => {
  const active = await t.ask((api, own) => api.tour.getActiveUsers(own(api.tour.listUserIds())));
  assert.deepEqual(active.map((user) => user.name), ["Ada", "Grace", "Barbara"]);
});

check("a map inside a map", BOTH, async (t) => {
  const teams = await t.ask((api, own) =>
    own(api.tour.listTeams()).map((team) => team.memberIds.map((id) => api.tour.getUserName(id))),
  );
  assert.deepEqual(teams, [["Ada", "Grace"], [], ["Linus", "Ada"]]);
});

// --- disposal

const authenticated = (t, expected) =>
  t.until(`for ${expected} to be authenticated`, async () => (await t.api.tour.authenticated()) === expected);

check("an object goes with its last stub", async (t) => {
  const user = await t.api.tour.authenticate("Ada");
  const dup = user.dup();
  assert.equal(await t.api.tour.authenticated(), 1);
  user[Symbol.dispose]();
  assert.equal(await dup.id, 1);
  assert.equal(await t.api.tour.authenticated(), 1);
  dup[Symbol.dispose]();
  await authenticated(t, 0);
});

check("a promise that is disposed gives up its result", async (t) => {
  t.api.tour.authenticate("Ada")[Symbol.dispose]();
  const user = t.api.tour.authenticate("Grace");
  assert.equal(await user.id, 2);
  await authenticated(t, 1);
  user[Symbol.dispose]();
  await authenticated(t, 0);
});

check("a result takes along the stubs that are in it", async (t) => {
  const users = await t.api.tour.authenticateAll(["Ada", "Grace", "Linus"]);
  assert.equal(users.length, 3);
  const kept = users[1].dup();
  users[Symbol.dispose]();
  await authenticated(t, 1);
  assert.equal(await kept.id, 2);
  kept[Symbol.dispose]();
  await authenticated(t, 0);
});

check("an argument is the caller's to dispose, as soon as the call is made", async (t) => {
  const writer = new Writer();
  const listener = new RpcStub(writer);
  await t.api.tour.subscribe(3, listener);
  assert.equal(writer.disposed, 0);
  const told = t.api.tour.subscribe(1, listener);
  listener[Symbol.dispose]();
  await told;
  assert.deepEqual(writer.heard, ["Linus", "Ada"]);
  await t.until("for its end", () => writer.disposed === 1);
});

check("a callback that the callee keeps beyond its call", async (t) => {
  const heard = [];
  const disposed = [0, 0, 0];
  const { api: main } = t.connect();
  const api = main.tour;
  for (const number of [1, 2]) {
    const listener = Object.assign((message) => void heard.push(`${number}: ${message}`), {
      [Symbol.dispose]: () => (disposed[number] += 1),
    });
    await api.registerListener(listener);
    await api.notify("news");
    await api.notify("more");
  }
  assert.deepEqual(heard, ["1: news", "1: more", "2: news", "2: more"]);
  // The callee let go of the first one for the second.
  await t.until("for the first one's end", () => disposed[1] === 1);
  assert.equal(disposed[2], 0);
  // With the session goes the object that holds the second one.
  main[Symbol.dispose]();
  await t.until("for the second one's end", () => disposed[2] === 1);
});

check("one stub passed many times is disposed once", async (t) => {
  const writer = new Writer();
  const listener = new RpcStub(writer);
  for (const id of [1, 2, 3]) await t.api.tour.subscribe(id, listener);
  assert.deepEqual(writer.heard, ["Ada", "Grace", "Linus"]);
  assert.equal(writer.disposed, 0);
  listener[Symbol.dispose]();
  await t.until("for its end", () => writer.disposed === 1);
});

check("one object passed many times is disposed as often", async (t) => {
  const writer = new Writer();
  for (const id of [1, 2, 3]) await t.api.tour.subscribe(id, writer);
  await t.until("for its ends", () => writer.disposed === 3);
});

check("a stub breaks with its connection", async (t) => {
  const other = t.connect();
  const tour = other.api.tour.dup();
  const broken = new Promise((resolve) => tour.onRpcBroken(resolve));
  await Promise.resolve(other.api.probe.hangUp()).catch(() => {});
  assert.ok((await broken) instanceof Error);
  await assert.rejects(Promise.resolve().then(() => tour.hello("anybody")), Error);
});

check("a promise breaks when it is rejected", async (t) => {
  const user = t.own(t.api.tour.authenticate("a wrong token"));
  const broken = new Promise((resolve) => user.onRpcBroken(resolve));
  await Promise.resolve(user).catch(() => {});
  assert.equal((await broken).message, "no such token");
});
