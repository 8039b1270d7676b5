// Calls a second from one page of Chromium to one server of ours: npm `capnweb`, and the same in WebAssembly, in turns.
//
//     node bench.mjs --bin ../../target/release/capnweb-interop --module DIR [--rounds 5] [--millis 1000]
//
// DIR is what wasm-bindgen made for pages from `capnweb-interop-web`, compiled with `--release`. Prints medians.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { openPage } from "./page.mjs";

const { values: options } = parseArgs({
  options: {
    bin: { type: "string" },
    module: { type: "string" },
    rounds: { type: "string", default: "5" },
    millis: { type: "string", default: "1000" },
  },
});
const millis = Number(options.millis);
const server = spawn(options.bin, ["serve", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
const [line] = await once(createInterface({ input: server.stdout }), "line");
const url = `ws://${JSON.parse(line).addr}/`;
const page = await openPage(resolve(options.module));
try {
  const source = await readFile(new URL("../node/node_modules/capnweb/dist/index.js", import.meta.url), "utf8");
  await page.evaluate(async (source) => {
    const npm = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    globalThis.measureNpm = async (url, inFlight, millis) => {
      const api = npm.newWebSocketRpcSession(url);
      await api.add(2, 3);
      const began = performance.now();
      let calls = 0;
      const caller = async () => {
        while (performance.now() - began < millis) {
          if ((await api.add(2, 3)) === 5) calls++;
        }
      };
      await Promise.all(Array.from({ length: inFlight }, caller));
      const rate = (calls / (performance.now() - began)) * 1000;
      api[Symbol.dispose]();
      return rate;
    };
  }, source);
  const measure = {
    npm: (inFlight) => page.evaluate(([url, n, ms]) => globalThis.measureNpm(url, n, ms), [url, inFlight, millis]),
    wasm: (inFlight) => page.evaluate(([url, n, ms]) => globalThis.program.measure(url, n, ms), [url, inFlight, millis]),
  };
  for (const inFlight of [1, 64]) {
    const rates = { npm: [], wasm: [] };
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const name of Object.keys(rates)) rates[name].push(await measure[name](inFlight));
    }
    const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
    const [npm, wasm] = [median(rates.npm), median(rates.wasm)];
    console.log(
      `${inFlight} in flight: WebAssembly ${Math.round(wasm)} calls/s, npm capnweb ${Math.round(npm)} calls/s, ratio ${(wasm / npm).toFixed(2)}`,
    );
  }
} finally {
  await page.context().browser().close();
  server.kill();
}
