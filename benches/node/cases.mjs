// What a client does in each case: one step of it, and what the step counts. Every answer is checked.

import { connect } from "./connect.mjs";
import { CHUNK, pattern } from "./service.mjs";

const CHAIN = 10;
const ELEMENTS = 1000;
const MEBIBYTE = 1024 * 1024;
const DOWNLOAD = 64 * MEBIBYTE;

function check(answer, expected) {
  if (answer !== expected) throw new Error(`${answer} was answered where ${expected} is right`);
}

const add = async (api) => check(await api.add(2, 3), 5);

async function chain(api) {
  const promises = [];
  let object = api;
  for (let i = 1; i < CHAIN; i++) {
    object = object.child();
    promises.push(object);
  }
  const value = await object.value();
  for (const promise of promises) promise[Symbol.dispose]();
  check(value, CHAIN - 1);
}

async function map(api) {
  using numbers = api.numbers(ELEMENTS);
  using doubled = await numbers.map((n) => api.double(n));
  check(doubled.length, ELEMENTS);
  doubled.forEach((n, i) => check(n, 2 * i));
}

const PAYLOAD = pattern(MEBIBYTE);

async function echo(api) {
  const bytes = await api.echo(PAYLOAD);
  check(Buffer.compare(PAYLOAD, bytes), 0);
}

/** One stream for as long as the case lasts: its steps are the chunks that are taken from it. */
async function upload(api, meter) {
  const chunk = pattern(CHUNK);
  let sent = 0;
  const stream = new ReadableStream({
    pull(controller) {
      if (meter.over) return controller.close();
      sent += CHUNK;
      meter.units += CHUNK;
      controller.enqueue(chunk);
    },
  });
  check(await api.upload(stream), sent);
}

async function download(api, meter) {
  let received = 0;
  using stream = await api.download(DOWNLOAD);
  for await (const chunk of stream) {
    check(chunk[0], received % 256);
    received += chunk.byteLength;
    check(chunk.at(-1), (received - 1) % 256);
    meter.units += chunk.byteLength;
  }
  check(received, DOWNLOAD);
}

/** Steps one after another, in so many loops at once. */
const loops = (step, units) => (options, meter) =>
  meter.measure(() => {
    const api = connect(options.over, options.at);
    const loop = async () => {
      while (!meter.over) {
        await step(api, meter);
        meter.units += units;
      }
    };
    return Promise.all(Array.from({ length: options.inFlight }, loop));
  });

/** A local call is a few microtasks: without a pause no timer would ever fire. */
async function localCalls(api, meter) {
  for (let i = 0; i < 1000; i++) await add(api);
  meter.units += 1000;
  await new Promise(setImmediate);
}

/** Sessions one after another, each for so many calls at once. */
const sessions = ({ over, at, inFlight }, meter) =>
  meter.measure(async () => {
    while (!meter.over) {
      using api = connect(over, at);
      await Promise.all(Array.from({ length: inFlight }, () => add(api)));
      meter.units += inFlight;
    }
  });

/** Opens its sessions before the clock starts, so many at a time that no backlog overflows. */
async function idle({ over, at, sessions: count }, meter) {
  const AT_ONCE = 100;
  const held = [];
  while (held.length < count) {
    const opened = Array.from({ length: Math.min(AT_ONCE, count - held.length) }, () => connect(over, at));
    await Promise.all(opened.map(add));
    held.push(...opened);
  }
  return { ...(await meter.clock()), units: held.length };
}

const SESSION = ["websocket", "in-process"];

/** Each case: what it runs over, and how. */
export const CASES = {
  calls: { over: SESSION, run: loops(add, 1) },
  local: { over: ["local"], run: loops(localCalls, 0) },
  chains: { over: SESSION, run: loops(chain, 1) },
  batch: { over: ["batch"], run: sessions },
  map: { over: SESSION, run: loops(map, ELEMENTS) },
  bytes: { over: SESSION, run: loops(echo, MEBIBYTE) },
  "stream-up": { over: SESSION, run: loops(upload, 0) },
  "stream-down": { over: SESSION, run: loops(download, 0) },
  idle: { over: ["websocket"], run: idle },
  connect: { over: ["websocket"], run: sessions },
};
