// The example `worker-counter` in Cloudflare's own runtime.
//
//     node counter-worker.mjs --module DIR [--port 8787]
//
// DIR is what wasm-bindgen made of it for bundlers.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Miniflare } from "miniflare";
import { snippets } from "./harness.mjs";

const ENTRY = `
import * as bindings from "./worker_counter_bg.js";
import wasm from "./worker_counter_bg.wasm";

const instance = new WebAssembly.Instance(wasm, { "./worker_counter_bg.js": bindings });
bindings.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start?.();

export const CounterObject = bindings.CounterObject;
export default { fetch: (request, env, context) => bindings.fetch(request, env, context) };
`;

/** The settings of the example, as `wrangler` reads them. */
async function settings() {
  const text = await readFile(new URL("../../examples/worker-counter/wrangler.toml", import.meta.url), "utf8");
  const setting = (key, from = text) => from.match(new RegExp(`^${key} = "(.*)"$`, "m"))[1];
  const [, bindings] = text.split("[[durable_objects.bindings]]");
  return {
    compatibilityDate: setting("compatibility_date"),
    durableObjects: { [setting("name", bindings)]: setting("class_name", bindings) },
  };
}

/** Starts the Worker. */
export async function startCounter(module, port = 0) {
  const read = (file) => readFile(resolve(module, file));
  return new Miniflare({
    host: "127.0.0.1",
    port,
    ...(await settings()),
    modules: [
      { type: "ESModule", path: "entry.js", contents: ENTRY },
      { type: "ESModule", path: "worker_counter_bg.js", contents: await read("worker_counter_bg.js") },
      ...(await snippets(module)),
      { type: "CompiledWasm", path: "worker_counter_bg.wasm", contents: await read("worker_counter_bg.wasm") },
    ],
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values: options } = parseArgs({ options: { module: { type: "string" }, port: { type: "string", default: "8787" } } });
  const { href } = await (await startCounter(options.module, Number(options.port))).ready;
  console.log(`The counters are at ${href}, for example ${href}apples`);
}
