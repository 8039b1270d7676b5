// The module `capnweb-webtransport.js` alone, over connections that are none: every order of events that a network
// brings about once in a while can be had here at will.
//
//     node module/run.mjs [--only TEXT]

import { parseArgs } from "node:util";
import "./writing.mjs";
import "./failing.mjs";
import "./reading.mjs";
import "./closing.mjs";
import "./sessions.mjs";
import { runChecks } from "./registry.mjs";

const { values: options } = parseArgs({ options: { only: { type: "string" } } });
const { passed, failed } = await runChecks(options.only);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
