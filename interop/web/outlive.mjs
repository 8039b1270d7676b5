// A client that outlives its sessions, in WebAssembly: in Node and in Chromium, while its server is killed and started again.
//
//     node outlive.mjs --module DIR --bin ../../target/debug/capnweb-interop
//
// DIR has what wasm-bindgen made, in `web`. Prints how many checks passed.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { runChecks, startServer } from "./harness.mjs";
import { openPage } from "./page.mjs";

const SECONDS = 120;
const { values: options } = parseArgs({ options: { module: { type: "string" }, bin: { type: "string" } } });
globalThis.WebSocket ??= WebSocket;

/** An address at which nobody listens. */
async function closedAddress() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}

/** Runs `use` with the URLs of a server and of nobody, and a function that kills the server and starts it again. */
async function withServer(use) {
  const serve = (address) => startServer(options.bin, "serve", "--listen", address);
  let server = await serve("127.0.0.1:0");
  const restart = async () => {
    await server.stop("SIGKILL");
    server = await serve(server.addr);
  };
  try {
    await use(`http://${server.addr}/`, `http://${await closedAddress()}/`, restart);
  } finally {
    await server.stop("SIGKILL");
  }
}

const folder = resolve(options.module, "web");

const checks = {
  "a client in Node": () =>
    withServer(async (url, nobody, restart) => {
      const program = await import(pathToFileURL(resolve(folder, "capnweb_interop_web.js")).href);
      await program.default({ module_or_path: await readFile(resolve(folder, "capnweb_interop_web_bg.wasm")) });
      await program.outlive(url, nobody, restart);
    }),

  "a client in Chromium": () =>
    withServer(async (url, nobody, restart) => {
      const page = await openPage(folder);
      try {
        await page.exposeFunction("restart", restart);
        await page.evaluate((args) => globalThis.program.outlive(...args, globalThis.restart), [url, nobody]);
      } finally {
        await page.context().browser().close();
      }
    }),
};

await runChecks("outlive", SECONDS, checks);
