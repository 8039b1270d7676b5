// What `capnweb-interop proxy` promises beyond carrying every other check between two peers.

import assert from "node:assert/strict";
import { RpcSession, RpcTarget } from "capnweb";
import { ClientMain } from "../harness/client-main.mjs";
import { RawPeer } from "../harness/raw-peer.mjs";
import { topic } from "../harness/registry.mjs";
import { WebSocket, WebSocketTransport } from "../harness/transport.mjs";
import { Main } from "../main-object.mjs";

const check = topic("through the proxy");

const SQUARE = ["push", ["pipeline", 0, ["square"], [3]]];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Two raw peers that face each other through the proxy. */
function rawPair(t) {
  const { server, client } = t.pairUrls();
  return { server: t.closing(new RawPeer(server)), client: t.closing(new RawPeer(client)) };
}

function session(url, main, options) {
  return new RpcSession(new WebSocketTransport(new WebSocket(url)), main, options);
}

check("a call is a call of the other side's main, an answer an answer", async (t) => {
  const { server, client } = rawPair(t);
  await client.send(SQUARE, ["pull", 1]);
  const [, [form, id, path, args]] = await server.nextOf("push");
  assert.deepEqual([form, id, path, args], ["pipeline", 0, ["square"], [3]]);
  await server.nextOf("pull");
  await server.send(["resolve", 1, 9]);
  assert.deepEqual(await client.outcome(1), ["resolve", 1, 9]);
  assert.deepEqual(await server.nextOf("release"), ["release", 1, 1]);
});

check("a call that is not pulled is not pulled over there", async (t) => {
  const { server, client } = rawPair(t);
  await client.send(SQUARE, ["push", ["pipeline", 1, ["x"]]], ["pull", 2]);
  await server.nextOf("push");
  await server.nextOf("push");
  assert.deepEqual(await server.nextOf("pull"), ["pull", 2]);
});

check("the client's main object is the server's", async (t) => {
  const { server, client } = rawPair(t);
  await server.send(["push", ["pipeline", 0, ["greet"], ["x"]]], ["pull", 1]);
  assert.deepEqual((await client.nextOf("push"))[1], ["pipeline", 0, ["greet"], ["x"]]);
  await client.send(["resolve", 1, "hello x"]);
  assert.deepEqual(await server.outcome(1), ["resolve", 1, "hello x"]);
});

check("what one side sends before the other is there waits for it", async (t) => {
  for (const late of ["server", "client"]) {
    const { server, client } = t.pairUrls();
    const start = {
      server: () => session(server, new Main()).getRemoteMain(),
      client: () => session(client, new ClientMain()).getRemoteMain(),
    };
    const early = late === "server" ? "client" : "server";
    const first = start[early]();
    const ask = early === "client" ? first.square(5) : first.greet("early");
    await pause(100);
    const second = start[late]();
    assert.equal(await ask, early === "client" ? 25 : "hello early");
    assert.equal(await (late === "client" ? second.square(6) : second.greet("late")), late === "client" ? 36 : "hello late");
    first[Symbol.dispose]();
    second[Symbol.dispose]();
  }
});

check("an error keeps the stack that its origin revealed", async (t) => {
  const { server, client } = t.pairUrls();
  const reveal = { onSendError: (error) => Object.assign(new RangeError(error.message), { stack: `told by the origin: ${error.message}` }) };
  const origin = session(server, new Main(), reveal).getRemoteMain();
  const api = session(client, new ClientMain()).getRemoteMain();
  await assert.rejects(Promise.resolve(api.fail("revealed")), { message: "revealed", stack: "told by the origin: revealed" });
  origin[Symbol.dispose]();
  api[Symbol.dispose]();
});

check("an error keeps its stack hidden if its origin hid it", async (t) => {
  const { server, client } = rawPair(t);
  await client.send(SQUARE, ["pull", 1]);
  await server.nextOf("push");
  await server.send(["reject", 1, ["error", "RangeError", "hidden"]]);
  assert.deepEqual(await client.outcome(1), ["reject", 1, ["error", "RangeError", "hidden"]]);
});

check("an error of a custom name keeps it, and its props", async (t) => {
  const { server, client } = rawPair(t);
  const error = ["error", "MyError", "m", "the stack", { code: 5, list: [[1, ["undefined"]]], cause: ["error", "TypeError", "c"] }];
  await client.send(SQUARE, ["pull", 1]);
  await server.nextOf("push");
  await server.send(["reject", 1, error]);
  assert.deepEqual(await client.outcome(1), ["reject", 1, error]);
});

check("a thrown value that is no error passes as it is", async (t) => {
  const { server, client } = rawPair(t);
  for (const [id, thrown] of ["plain", 5, ["undefined"], { a: [[1]] }].entries()) {
    await client.send(SQUARE, ["pull", id + 1]);
    await server.nextOf("push");
    await server.send(["reject", id + 1, thrown]);
    assert.deepEqual(await client.outcome(id + 1), ["reject", id + 1, thrown]);
  }
});

check("text that no strict parser takes passes as it came", async (t) => {
  const { server, client } = rawPair(t);
  await client.send('["push",["pipeline",0,["echo"],["a\\ud800b",1e400]]]', ["pull", 1]);
  const [, [, , , [text, number]]] = await server.nextOf("push");
  assert.equal(text, "a\ud800b");
  assert.equal(number, Infinity);
});

for (const [breaking, other] of [["client", "server"], ["server", "client"]]) {
  check(`an abort by the ${breaking} ends the ${other}'s session with the same reason`, async (t) => {
    const pair = rawPair(t);
    await pair.server.send(SQUARE, ["pull", 1]);
    await pair.client.nextOf("push");
    await pair[breaking].send(["abort", ["error", "RangeError", "we are done"]]);
    const [, [, name, message]] = await pair[other].nextOf("abort");
    assert.deepEqual([name, message], ["RangeError", "we are done"]);
    const { code, reason } = await pair[other].closed();
    assert.equal(code, 3000);
    assert.match(reason, /we are done/);
  });

  check(`a ${breaking} that closes ends the ${other}'s session with the same reason`, async (t) => {
    const pair = rawPair(t);
    await pair.server.send(SQUARE, ["pull", 1]);
    await pair.client.nextOf("push");
    pair[breaking].close(3456, "enough");
    const [, [, , message]] = await pair[other].nextOf("abort");
    assert.match(message, /3456 enough/);
  });

  check(`rubbish from the ${breaking} ends both sessions with the same reason`, async (t) => {
    const pair = rawPair(t);
    await pair.server.send(SQUARE, ["pull", 1]);
    await pair.client.nextOf("push");
    await pair[breaking].send("rubbish");
    const [, told] = await pair[breaking].nextOf("abort");
    const [, passedOn] = await pair[other].nextOf("abort");
    assert.equal(told[2], passedOn[2]);
  });
}

check("a side given twice is refused, and disturbs neither", async (t) => {
  const { server, client } = t.pairUrls();
  const first = { server: t.closing(new RawPeer(server)), client: t.closing(new RawPeer(client)) };
  await first.client.send(SQUARE, ["pull", 1]);
  await first.server.nextOf("push");
  const second = t.closing(new RawPeer(client));
  await assert.rejects(second.send(SQUARE).then(() => second.next()));
  await first.server.send(["resolve", 1, 9]);
  assert.deepEqual(await first.client.outcome(1), ["resolve", 1, 9]);
});

/** A transport whose messages stay where they are while its gate is shut. */
class GatedTransport extends WebSocketTransport {
  #gate = Promise.resolve();
  #open = () => {};

  shut() {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  open() {
    this.#open();
  }

  async receive() {
    const message = await super.receive();
    await this.#gate;
    return message;
  }
}

/** A main object of the check's own behind the proxy, and a client of it whose receiving can be held up. */
function faced(t, main) {
  const { server, client } = t.pairUrls();
  const socket = new WebSocket(client);
  const transport = new GatedTransport(socket);
  const serving = session(server, main);
  const api = new RpcSession(transport, new ClientMain()).getRemoteMain();
  t.closing({ terminate: () => (api[Symbol.dispose](), serving.getRemoteMain()[Symbol.dispose]()) });
  return { api, transport, serving, socket };
}

/** Waits until `count()` stays the same while a call goes from the client to the main object, many times in a row. */
async function comesToRest(count, call) {
  for (let same = 0, before = count(); same < 30; ) {
    await call();
    same = count() === before ? same + 1 : 0;
    before = count();
  }
}

/** An object whose calls are events: `arrived()` resolves when the next one has come through. */
class Arrivals extends RpcTarget {
  #waiting = [];

  knock() {
    this.#waiting.shift()?.();
  }

  arrived(api) {
    const arrived = new Promise((resolve) => this.#waiting.push(resolve));
    api.knock().catch(() => {});
    return arrived;
  }
}

for (const [direction, title] of [["to a writable", "a writer"], ["from a readable", "a source"]]) {
  check(`${title} waits when its reader does not read: ${direction}`, async (t) => {
    const COUNT = 30;
    // Some six of them fill the window of 256 KiB.
    const chunk = "x".repeat(40_000);
    let sent = 0;
    class Source extends Arrivals {
      async writeTo(writable) {
        const writer = writable.getWriter();
        while (sent < COUNT) {
          sent += 1;
          await writer.write(chunk);
        }
        await writer.close();
      }

      readable() {
        return new ReadableStream(
          { pull: (controller) => (sent < COUNT ? (sent++, controller.enqueue(chunk)) : controller.close()) },
          { highWaterMark: 0 },
        );
      }
    }
    const main = new Source();
    const { api, transport } = faced(t, main);
    await api.knock();
    let read = 0;
    const take = ({ length }) => void (read += length === chunk.length ? 1 : COUNT);
    let done;
    if (direction === "to a writable") {
      transport.shut();
      done = api.writeTo(new WritableStream({ write: take }));
    } else {
      const stream = await api.readable();
      transport.shut();
      done = (async () => {
        for await (const chunk of stream) take(chunk);
      })();
    }
    await comesToRest(() => sent, () => main.arrived(api));
    const waiting = { sent, read };
    transport.open();
    await done;
    assert.deepEqual({ sent, read }, { sent: COUNT, read: COUNT }, "all of it comes once the reader reads");
    assert.ok(waiting.sent <= 10, `${waiting.sent} chunks were sent ahead, of which ${waiting.read} were read`);
  });
}

// Without such a chunk nothing of a stream is under way, and the reference does not tell its source either.
for (const chunks of [1, 2, 5]) {
  check(`a result that is disposed cancels a stream in it, ${chunks} chunks of which wait to be read`, async (t) => {
    let isCanceled = false;
    class Source extends Arrivals {
      stream() {
        return new ReadableStream({
          start(controller) {
            for (let n = 0; n < chunks; n++) controller.enqueue(`chunk ${n}`);
          },
          cancel: () => void (isCanceled = true),
        });
      }
    }
    const main = new Source();
    const { api } = faced(t, main);
    const stream = await api.stream();
    // By then every chunk has gone as far as it can.
    await comesToRest(() => isCanceled, () => main.arrived(api));
    stream[Symbol.dispose]();
    await comesToRest(() => isCanceled, () => main.arrived(api));
    assert.ok(isCanceled, "the source was not canceled");
  });
}

for (const [side, end] of [
  ["client", ({ api }) => api[Symbol.dispose]()],
  ["client's connection", ({ socket }) => socket.terminate()],
  ["server", ({ serving }) => serving.getRemoteMain()[Symbol.dispose]()],
]) {
  check(`a writable that was not closed is aborted when the ${side} goes away`, async (t) => {
    class Writer extends RpcTarget {
      async writeTo(writable) {
        await writable.getWriter().write("data");
        // The stream goes when the call ends, which it does not by itself.
        await new Promise(() => {});
      }
    }
    const pair = faced(t, new Writer());
    let abort;
    const aborted = new Promise((resolve) => (abort = resolve));
    const written = new Promise((resolve) => {
      pair.api.writeTo(new WritableStream({ write: resolve, abort })).catch(() => {});
    });
    assert.equal(await written, "data");
    end(pair);
    assert.ok((await aborted) instanceof Error);
  });
}

check("a writable that its writer let go of unclosed is aborted in the reader's own words", async (t) => {
  class Writer extends RpcTarget {
    writeTo(writable) {
      // The writable is released as this returns, with a chunk under way.
      writable.getWriter().write("data").catch(() => {});
    }
  }
  const { api } = faced(t, new Writer());
  const seen = [];
  const aborted = new Promise((abort) => {
    seen.push(api.writeTo(new WritableStream({ write: (chunk) => void seen.push(chunk), abort })));
  });
  await seen.shift();
  const reason = await aborted;
  assert.ok(reason instanceof Error);
  assert.match(reason.message, /disposed without calling close/);
});

check("a message that is none breaks both sessions, with an error that says so", async (t) => {
  const main = new Arrivals();
  const { api, transport, serving } = faced(t, main);
  await api.knock();
  const reasons = [];
  const heard = [api, serving.getRemoteMain()].map((stub) => new Promise((resolve) => stub.onRpcBroken((reason) => resolve(reasons.push(reason)))));
  transport.send('["not a valid message"]');
  await Promise.all(heard);
  assert.equal(reasons.length, 2);
  for (const reason of reasons) {
    assert.ok(reason instanceof Error);
    assert.match(reason.message, /bad RPC message/);
  }
  assert.equal(reasons[0].message, reasons[1].message);
  await assert.rejects(t.ask(() => api.knock()), { message: reasons[0].message });
});
