// Random values, sent to our server in the shape of each of many Rust types, decoded and encoded there.

import assert from "node:assert/strict";
import { inWords, isSame } from "../differential/compare.mjs";
import { generate } from "../differential/generate.mjs";
import { Random } from "../differential/random.mjs";
import { topic } from "../harness/registry.mjs";

const check = topic("differential");

/** How many values a call carries. */
const TOGETHER = 100;

const CONDITIONS = { notNode: "the shapes are Rust types", notProxy: "the peer is a Node server", seconds: 60 };

check("random values of every shape come back as they went", CONDITIONS, async (t) => {
  const server = t.own(await t.api.differential());
  const schemas = await server.schemas;
  assert.ok(schemas.length > 100, "there are shapes");
  // The other half goes from Rust to Node.
  const each = Math.ceil(t.sampling.values / 2 / schemas.length);
  const faults = [];
  for (const [name, schema] of schemas) {
    const random = new Random(t.sampling.seed, name);
    const values = Array.from({ length: each }, () => generate(random, schema));
    const failed = [];
    for (let first = 0; first < each; first += TOGETHER) {
      failed.push(...(await compare(server[name], values, first)));
    }
    if (failed.length > 0) faults.push(report(t.sampling.seed, name, failed, each));
  }
  schemas[Symbol.dispose]();
  assert.equal(faults.length, 0, `${faults.length} shapes of ${schemas.length}:\n${faults.slice(0, 20).join("\n")}`);
});

/** Sends some of the values together, and returns those that did not come back as expected. */
async function compare(method, values, first) {
  const part = values.slice(first, first + TOGETHER);
  const back = await send(method, part).catch(() => undefined);
  const failed = [];
  for (const [at, value] of part.entries()) {
    // If one of them was refused, all were.
    const got = back ? back[at] : await send(method, [value]).then(([got]) => got, (error) => error);
    if (!isSame(value.expected, got)) failed.push({ number: first + at, ...value, got });
  }
  return failed;
}

async function send(method, values) {
  const back = await method(values.map(({ sent }) => sent));
  back[Symbol.dispose]();
  return back;
}

/** Words for the shortest value that failed. */
function report(seed, name, failed, each) {
  const [shortest] = failed
    .map((value) => ({ ...value, length: inWords(value.sent)[0].length }))
    .sort((a, b) => a.length - b.length);
  const { number, sent, expected, got } = shortest;
  const [wanted, found] = inWords(expected, got);
  return [
    `${name}: ${failed.length} values of ${each} with --seed ${seed}, number ${number} for one:`,
    `  sent     ${inWords(sent)}`,
    `  expected ${wanted}`,
    `  got      ${found}`,
  ].join("\n");
}
