// The checks of `../browser/checks.js` in Deno, which has WebSocket, fetch and WebTransport as a browser has:
//
//     node_modules/@deno/linux-x64-glibc/deno run --config deno.json --no-remote -A --unstable-net run.mjs \
//         --bin ../../target/debug/capnweb-interop [--over ws,batch,webtransport] [--only TEXT]
//
// Prints what failed, a table and its sum, and exits with 1 if anything failed. `cargo xtask interop --deno`
// builds the program, installs what is missing and runs this.

import { existsSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { runChecks } from "../browser/checks.js";
import { Harness } from "../browser/harness.mjs";

const RUN_SECONDS = 120;

const { values: options } = parseArgs({
  options: {
    bin: { type: "string" },
    over: { type: "string", default: "ws,batch,webtransport" },
    only: { type: "string" },
  },
});
if (!options.bin || !existsSync(options.bin)) {
  console.error("run.mjs: --bin must name the capnweb-interop program, which `cargo build -p capnweb-interop` makes");
  process.exit(2);
}

const harness = new Harness("deno", options.bin, RUN_SECONDS);
globalThis.report = (report) => harness.report(report);
globalThis.startServer = () => harness.startServer();
globalThis.killServer = (id) => harness.killServer(id);
addEventListener("unhandledrejection", (event) => {
  // A browser would only write it to its console, too.
  event.preventDefault();
});

try {
  const server = await harness.startServer();
  await runChecks({ over: options.over.split(","), server, only: options.only });
  if (harness.hasEnded(server.id)) harness.fail("all", "the server stays up", "it does not");
} catch (error) {
  harness.fail("all", "the checks ran through", error.stack);
}
process.exit(await harness.finish({ mayBeEmpty: options.only !== undefined }));
