// npm capnweb as a program under measurement, on Node or Bun:
//
//     node peer.mjs serve --over websocket|batch [--upstream ADDRESS]
//     node peer.mjs load CASE --over websocket|batch|in-process|local --at ADDRESS --seconds S
//         [--warm-up S] [--in-flight N] [--sessions N]
//
// `serve` says `listening ADDRESS` and ends with its input; `load` says `start`, `stop` and one line of JSON. Exit
// codes: 1 for a wrong answer or a failure, 2 for arguments that are none, 3 for a case that is not supported.

import { parseArgs } from "node:util";
import { CASES } from "./cases.mjs";
import { OVER } from "./connect.mjs";
import { Meter, say } from "./meter.mjs";
import { serve } from "./serve.mjs";

function end(code, message) {
  console.error(message);
  process.exit(code);
}

const number = (text, fallback) => {
  const value = text === undefined ? fallback : Number(text);
  if (!(value >= 0)) end(2, `${text} is no amount`);
  return value;
};

const string = { type: "string" };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    over: string,
    upstream: string,
    at: string,
    seconds: string,
    "warm-up": string,
    "in-flight": string,
    sessions: string,
    encoding: string,
  },
});

const [command, name] = positionals;
if (!OVER.includes(values.over)) end(3, `unsupported: nothing runs over ${values.over} here`);
if ((values.encoding ?? "json") !== "json") end(3, `unsupported: no ${values.encoding} in npm capnweb`);

if (command === "serve") {
  if (!["websocket", "batch"].includes(values.over)) end(3, `unsupported: no server over ${values.over}`);
  say(`listening ${await serve(values.upstream)}`);
  process.stdin.on("end", () => process.exit(0)).resume();
} else if (command === "load") {
  const found = CASES[name];
  if (!found?.over.includes(values.over)) end(3, `unsupported: no case ${name} over ${values.over}`);
  const meter = new Meter(number(values.seconds, 2), number(values["warm-up"], 0.3));
  const options = {
    over: values.over,
    at: values.at,
    inFlight: number(values["in-flight"], 1),
    sessions: number(values.sessions, 10_000),
  };
  // What the reference rejects where nobody waits for it.
  process.on("uncaughtException", (error) => end(1, error.message));
  try {
    say(JSON.stringify(await found.run(options, meter)));
  } catch (error) {
    end(1, error.message);
  }
  process.exit(0);
} else {
  end(2, "either `serve` or `load`");
}
