// The interop server in workerd:
//
//     node workerd.mjs --listen 127.0.0.1:0
//
// Bundles the main object into a worker, starts workerd, and prints a line of JSON with the address.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const { values: options } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:0" } } });
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "capnweb-workerd-"));
await build({
  stdin: {
    contents: `
      import { newWorkersRpcResponse } from "capnweb";
      import { Main } from "../node/main-object.mjs";
      export default { fetch: (request) => newWorkersRpcResponse(request, new Main()) };
    `,
    resolveDir: here("."),
  },
  // Both copies of the package have to be the same.
  alias: { capnweb: here("node_modules/capnweb/dist/index-workers.js") },
  external: ["cloudflare:*", "node:*"],
  bundle: true,
  format: "esm",
  target: "esnext",
  outfile: join(folder, "worker.js"),
});
const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = (
    modules = [ (name = "worker", esModule = embed "worker.js") ],
    compatibilityDate = "2025-09-01",
    compatibilityFlags = [ "nodejs_compat" ],
  )) ],
  sockets = [ (name = "http", address = "${options.listen}", http = (), service = "main") ],
);
`;
writeFileSync(join(folder, "config.capnp"), config);

const workerd = spawn(
  here("node_modules/@cloudflare/workerd-linux-64/bin/workerd"),
  ["serve", join(folder, "config.capnp"), "--control-fd=3"],
  { stdio: ["ignore", "inherit", "inherit", "pipe"] },
);
createInterface({ input: workerd.stdio[3] }).on("line", (line) => {
  const event = JSON.parse(line);
  if (event.event === "listen") console.log(JSON.stringify({ addr: `127.0.0.1:${event.port}` }));
});
workerd.on("exit", (code) => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(code ?? 1);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => workerd.kill());
