// The page of the shared drawing.

import { newHttpBatchRpcSession, newWebSocketRpcSession } from "capnweb";
import { newWebTransportRpcSession } from "/capnweb-webtransport.js";

/**
 * The main object. `board.d.ts` is made from the traits in `board.rs`.
 *
 * @typedef {import("capnweb").RpcStub<import("./board.js").Drawing>} Main
 */

const config = await (await fetch("/config.json")).json();
const api = new URL("/api", location.href);

/** @type {Record<string, { title: string, connect: () => Main, isBatch?: boolean, [shown: string]: any }>} */
const transports = {
  ws: {
    title: "WebSocket",
    connect: () => newWebSocketRpcSession(Object.assign(new URL(api), { protocol: "ws:" }).href),
  },
  webtransport: {
    title: "WebTransport",
    connect: () => newWebTransportRpcSession(config.webTransport, { serverCertificateHashes: [config.certificateHash] }),
  },
  batch: {
    // A session in one request: there is a new one for each thing that is done, and the server cannot call.
    title: "HTTP batch",
    connect: () => newHttpBatchRpcSession(api.href),
    isBatch: true,
  },
};

const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("canvas"));
const pen = canvas.getContext("2d");
const state = /** @type {HTMLOutputElement} */ (document.getElementById("state"));
const lines = [];

/**
 * The transport that is chosen, and for how long it stays so.
 *
 * @type {{ transport: typeof transports[string], leave: AbortController, main?: Main } | undefined}
 */
let chosen;

/** Connects over another transport, and stays up to date over it until yet another is chosen. */
async function choose(name) {
  const transport = transports[name];
  chosen?.leave.abort();
  const leave = new AbortController();
  const main = transport.isBatch ? undefined : transport.connect();
  chosen = { transport, leave, main };
  main?.onRpcBroken((reason) => {
    if (!leave.signal.aborted) state.value = `${transport.title}: ${reason.message}`;
  });
  leave.signal.addEventListener("abort", () => main?.[Symbol.dispose]());
  lines.length = 0;
  try {
    await (transport.isBatch ? poll(transport, leave.signal) : watch(main, leave.signal, transport));
  } catch (error) {
    if (!leave.signal.aborted) state.value = `${transport.title}: ${error.message}`;
  }
}

/**
 * The server calls for each line that is drawn.
 *
 * @param {Main} main
 * @param {AbortSignal} left
 */
async function watch(main, left, { title }) {
  // Nothing waits for anything here: both go in one round trip.
  const seat = main.watch((line) => add([line]));
  const before = await main.since(0);
  add(before.lines);
  state.value = `${title}: the server calls this page, and ${before.people - 1} others.`;
  left.addEventListener("abort", () => seat[Symbol.dispose]());
}

/**
 * Without calls from the server there is asking.
 *
 * @param {typeof transports[string]} transport
 * @param {AbortSignal} left
 */
async function poll(transport, left) {
  let next = 0;
  while (!left.aborted) {
    const news = await transport.connect().since(next);
    if (left.aborted) return;
    add(news.lines);
    next = news.next;
    state.value = `${transport.title}: this page asks twice a second. The server calls ${news.people} others.`;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** @param {import("./board.js").Line} line */
async function draw(line) {
  const main = chosen.main ?? chosen.transport.connect();
  try {
    await main.draw(line);
  } catch (error) {
    state.value = `${chosen.transport.title}: ${error.message}`;
  }
}

// The canvas.

/** @param {import("./board.js").Line[]} more */
function add(more) {
  lines.push(...more);
  for (const line of more) paint(line);
}

/** @param {import("./board.js").Line} line */
function paint({ color, from, to }) {
  pen.strokeStyle = color;
  pen.lineWidth = 4 * devicePixelRatio;
  pen.lineCap = "round";
  pen.beginPath();
  pen.moveTo(from[0] * canvas.width, from[1] * canvas.height);
  pen.lineTo(to[0] * canvas.width, to[1] * canvas.height);
  pen.stroke();
}

new ResizeObserver(() => {
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  for (const line of lines) paint(line);
}).observe(canvas);

/** @returns {[number, number]} */
const at = (event) => [event.offsetX / canvas.clientWidth, event.offsetY / canvas.clientHeight];
/** @type {[number, number] | undefined} */
let last;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = at(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (!last) return;
  const line = { color, from: last, to: at(event) };
  last = line.to;
  draw(line);
  // Over a batch the line itself comes back only with the next question.
  if (chosen.transport.isBatch) paint(line);
});
canvas.addEventListener("pointerup", () => (last = undefined));

// Round trips: the median of some, one after the other, over each transport.

async function measure(name) {
  const transport = transports[name];
  const main = transport.isBatch ? undefined : transport.connect();
  try {
    // The first one connects.
    await (main ?? transport.connect()).ping();
    const times = [];
    for (let i = 0; i < 25; i++) {
      const started = performance.now();
      await (main ?? transport.connect()).ping();
      times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    transport.roundTrip = times[12];
  } catch {
    transport.roundTrip = undefined;
  }
  main?.[Symbol.dispose]();
}

async function measureForEver() {
  for (;;) {
    for (const name of Object.keys(transports)) await measure(name);
    const slowest = Math.max(...Object.values(transports).map(({ roundTrip }) => roundTrip ?? 0));
    for (const { number, bar, roundTrip } of Object.values(transports)) {
      number.textContent = roundTrip === undefined ? "–" : `${roundTrip.toFixed(2)} ms`;
      bar.style.width = `${(100 * (roundTrip ?? 0)) / slowest}%`;
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

// What there is to choose.

for (const [name, transport] of Object.entries(transports)) {
  const label = document.createElement("label");
  label.className = "transport";
  label.innerHTML = `<input type="radio" name="transport" value="${name}"><span>${transport.title}</span>
    <span class="number">…</span><span class="bar"><i></i></span>`;
  label.querySelector("input").addEventListener("change", () => choose(name));
  transport.number = label.querySelector(".number");
  transport.bar = label.querySelector("i");
  document.getElementById("transports").append(label);
}

const COLORS = ["#e5484d", "#f2a20d", "#30a46c", "#3e7bfa", "#8e4ec6"];
let color;
for (const one of COLORS) {
  const button = document.createElement("button");
  button.style.background = one;
  button.ariaLabel = one;
  button.addEventListener("click", () => {
    color = one;
    for (const other of button.parentNode.children) other.classList.toggle("chosen", other === button);
  });
  document.getElementById("colors").append(button);
}
const buttons = document.getElementById("colors").querySelectorAll("button");
buttons[Math.floor(Math.random() * COLORS.length)].click();

const wanted = new URLSearchParams(location.search).get("transport") ?? "webtransport";
/** @type {HTMLInputElement} */ (document.querySelector(`input[value="${wanted in transports ? wanted : "ws"}"]`)).click();
measureForEver();
