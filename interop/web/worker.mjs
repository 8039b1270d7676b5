// The main object of `capnweb-interop serve` in a Worker, in Cloudflare's own runtime:
//
//     node worker.mjs --module DIR
//
// DIR is what wasm-bindgen made for bundlers. Prints one line of JSON with its address when it is ready.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Log, LogLevel, Miniflare } from "miniflare";
import { snippets } from "./harness.mjs";

const { values: options } = parseArgs({
  options: { module: { type: "string" }, listen: { type: "string", default: "127.0.0.1:0" } },
});
if (!options.module) {
  console.error("worker.mjs: --module names the folder that wasm-bindgen wrote for bundlers");
  process.exit(2);
}
const read = (file) => readFile(resolve(options.module, file));

const ENTRY = `
import * as bindings from "./capnweb_interop_web_bg.js";
import wasm from "./capnweb_interop_web_bg.wasm";

const instance = new WebAssembly.Instance(wasm, { "./capnweb_interop_web_bg.js": bindings });
bindings.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start?.();

// What the sessions of the checks share lives in one object: requests of a Worker itself, below /plain, are apart.
export class Main {
  constructor(state) {
    this.state = state;
  }

  fetch(request) {
    return bindings.serve(request, this.state);
  }
}

export default {
  fetch: (request, env, context) =>
    new URL(request.url).pathname.startsWith("/plain")
      ? bindings.serve(request, context)
      : env.MAIN.get(env.MAIN.idFromName("main")).fetch(request),
};
`;

const miniflare = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  log: new Log(LogLevel.ERROR),
  compatibilityDate: "2026-04-01",
  durableObjects: { MAIN: "Main" },
  modules: [
    { type: "ESModule", path: "entry.js", contents: ENTRY },
    { type: "ESModule", path: "capnweb_interop_web_bg.js", contents: await read("capnweb_interop_web_bg.js") },
    ...(await snippets(options.module)),
    { type: "CompiledWasm", path: "capnweb_interop_web_bg.wasm", contents: await read("capnweb_interop_web_bg.wasm") },
  ],
});
const url = await miniflare.ready;
console.log(JSON.stringify({ addr: url.host }));
process.once("SIGTERM", async () => {
  await miniflare.dispose();
  process.exit(0);
});
