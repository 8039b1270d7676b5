// The checks of `capnweb-interop client`, compiled to WebAssembly, in Node:
//
//     node client.mjs --module DIR --url http://127.0.0.1:8080 [--peer rust|node] [--over ws,batch] [--only TEXT] [--seed N] [--values N]
//
// DIR is what wasm-bindgen made for pages. One line of JSON a check; exits with 1 if any failed.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { WebSocket } from "ws";

// Node has one of its own from version 22 on. Which one is used makes no difference to the checks.
globalThis.WebSocket ??= WebSocket;

const { folder, rest } = takeModule(process.argv.slice(2));
const { check, default: load } = await import(pathToFileURL(resolve(folder, "capnweb_interop_web.js")).href);
await load({ module_or_path: await readFile(resolve(folder, "capnweb_interop_web_bg.wasm")) });
const passed = await check(rest, (line) => console.log(line));
process.exit(passed ? 0 : 1);

/** @param {string[]} words */
function takeModule(words) {
  const at = words.indexOf("--module");
  if (at < 0) {
    console.error("client.mjs: --module names the folder that wasm-bindgen wrote for pages");
    process.exit(2);
  }
  return { folder: words[at + 1], rest: words.toSpliced(at, 2) };
}
