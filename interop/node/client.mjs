// Runs the checks against a server:
//
//     node client.mjs --url http://127.0.0.1:8080 [--peer rust|node|worker] [--over ws,batch] [--only TEXT] [--without TEXT|…] [--seed N] [--values N]
//
// One line of JSON a check; exits with 1 if any failed.

import { parseArgs } from "node:util";
import "./checks/all.mjs";
import { runChecks } from "./harness/runner.mjs";

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    peer: { type: "string", default: "rust" },
    over: { type: "string", default: "ws,batch" },
    only: { type: "string" },
    without: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
    values: { type: "string", default: "100000" },
  },
});
if (!options.url) {
  console.error("client.mjs: --url of the server is missing, such as --url http://127.0.0.1:8080");
  process.exit(2);
}

const base = new URL(options.url);
const failed = await runChecks({
  peer: options.peer,
  transports: options.over.split(","),
  only: options.only,
  without: options.without.split("|").filter((text) => text !== ""),
  sampling: { seed: Number(options.seed), values: Number(options.values) },
  connector: {
    wsUrl: () => Object.assign(new URL(base), { protocol: "ws:" }).href,
    httpUrl: (path) => new URL(path, base).href,
  },
});
process.exit(failed > 0 ? 1 : 0);
