// Sessions of npm `capnweb` over the module, at both ends.

import assert from "node:assert/strict";
import { RpcSession, RpcTarget } from "capnweb";
import { WebTransportTransport } from "../capnweb-webtransport.js";
import { FakeClock, FakeConnection, fakePair, microtasks, random, settled } from "./fake.mjs";
import { topic } from "./registry.mjs";

const check = topic("sessions");

class Counter extends RpcTarget {
  #value = 0;

  increment(by) {
    return (this.#value += by);
  }
}

class Main extends RpcTarget {
  makeCounter() {
    return new Counter();
  }

  async sum(stream) {
    let sum = 0;
    for await (const chunk of stream) sum += chunk;
    return sum;
  }

  numbers(n) {
    return numbers(n);
  }

  readRequest(request) {
    return request.text();
  }
}

function numbers(n) {
  let next = 0;
  return new ReadableStream({ pull: (controller) => (next < n ? controller.enqueue(next++) : controller.close()) });
}

function connected(delay) {
  const [client, server] = fakePair(delay);
  const served = new RpcSession(new WebTransportTransport(server), new Main());
  const session = new RpcSession(new WebTransportTransport(client));
  return { api: session.getRemoteMain(), session, served };
}

check("calls at any distance are answered, whatever a write takes", async () => {
  for (let duration = 0; duration <= 4; duration++) {
    for (let distance = 0; distance <= 12; distance++) {
      const { api } = connected(() => microtasks(duration));
      const counter = await api.makeCounter();
      assert.equal(await counter.increment(1), 1);
      const first = counter.increment(2);
      await microtasks(distance);
      const second = counter.increment(3);
      assert.deepEqual([await first, await second], [3, 6]);
      api[Symbol.dispose]();
    }
  }
});

check("calls and streams at random distances come through", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const next = random(seed);
    const { api } = connected(() => (next(4) === 0 ? new Promise((resolve) => setImmediate(resolve)) : microtasks(next(13))));
    const up = api.sum(numbers(40));
    const down = (async () => {
      let sum = 0;
      for await (const number of await api.numbers(40)) sum += number;
      return sum;
    })();
    const counter = await api.makeCounter();
    for (let n = 1; n <= 20; n++) {
      assert.equal(await counter.increment(1), n);
      await microtasks(next(13));
    }
    assert.deepEqual(await Promise.all([up, down]), [780, 780], `seed ${seed}`);
    api[Symbol.dispose]();
  }
});

check("a request with a body comes through", async () => {
  for (let duration = 0; duration <= 6; duration++) {
    const { api } = connected(() => microtasks(duration));
    const request = new Request("http://127.0.0.1/x", { method: "POST", body: "a body" });
    assert.equal(await api.readRequest(request), "a body");
    api[Symbol.dispose]();
  }
});

for (const failing of [0, 1, 2, 3]) {
  check(`a write with the number ${failing} that fails breaks the session, once and for all calls`, async () => {
    const clock = new FakeClock();
    try {
      const cause = new Error("stop sending");
      const connection = new FakeConnection({ write: (n) => (n === failing ? Promise.reject(cause) : undefined) });
      const api = new RpcSession(new WebTransportTransport(connection)).getRemoteMain();
      const broken = [];
      api.onRpcBroken((reason) => broken.push(reason));
      const calls = [];
      for (let n = 0; n < 4; n++) {
        calls.push(Promise.resolve(api.makeCounter()).catch((error) => error));
        await settled();
      }
      await clock.advance(4000);
      calls.push(Promise.resolve().then(() => api.makeCounter()).catch((error) => error));
      const reasons = new Set(await Promise.all(calls));
      assert.equal(broken.length, 1);
      assert.deepEqual([...reasons], broken);
      assert.deepEqual([broken[0].message, broken[0].cause], ["WebTransport connection lost.", cause]);
      assert.equal(connection.ends.at(-1), "closed");
    } finally {
      clock[Symbol.dispose]();
    }
  });
}

check("a server's reason is what breaks the session, though a write failed before", async () => {
  const connection = new FakeConnection({ write: (n) => (n === 2 ? Promise.reject(new Error("stop sending")) : undefined) });
  const api = new RpcSession(new WebTransportTransport(connection)).getRemoteMain();
  const broken = new Promise((resolve) => api.onRpcBroken(resolve));
  const calls = [];
  for (let n = 0; n < 3; n++) {
    calls.push(Promise.resolve(api.makeCounter()).catch((error) => error));
    await settled();
  }
  connection.deliver('["abort",["error","RangeError","closing time"]]\n');
  connection.finish();
  const reason = await broken;
  assert.deepEqual([reason.name, reason.message], ["RangeError", "closing time"]);
  assert.deepEqual(await Promise.all(calls), [reason, reason, reason]);
  connection.lose();
});

check("the reason of an end reaches the peer, however close before it something was sent", async () => {
  for (let distance = 0; distance <= 12; distance++) {
    const { api, served } = connected();
    const broken = new Promise((resolve) => served.getRemoteMain().onRpcBroken(resolve));
    await api.makeCounter();
    api.makeCounter().catch(() => {});
    await microtasks(distance);
    api[Symbol.dispose]();
    assert.equal((await broken).message, "Peer closed WebTransport.");
  }
});
