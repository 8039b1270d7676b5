// The schemas of methods and that of the description, by a validator of JSON Schema.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import Ajv from "ajv/dist/2020.js";
import { newWebSocketRpcSession } from "capnweb";

const ROOT = new URL("../../", import.meta.url);

/** Arguments that fit, and such that do not. */
const ARGUMENTS = {
  user: [[[3]], [[], ["3"], [-1], [4294967296], [1.5], [1, 2]]],
  optional: [[["a"], ["a", null], ["a", 1, { x: 1, y: 2 }]], [[], ["a", "b"], ["a", 1, { x: 1 }], ["a", 1, 2]]],
  optionalFirst: [[[null, 1], [1, 1]], [[1], [null]]],
  rest: [[["a"], ["a", 1, 2]], [["a", "b"], []]],
  date: [[["2026-01-01T00:00:00Z"]], [[5]]],
  bytes: [[["AAEC"]], [[[0, 1, 2]]]],
  record: [[[{}], [{ a: 1 }]], [[{ a: "b" }], [[]]]],
  color: [[["red"]], [["blue"], [null]]],
  nameOf: [[], [[{}], ["user"], []]],
  unit: [[[]], [[1]]],
};

/** The rows whose results have a form in JSON, with the arguments that they are asked with. */
const RESULTS = {
  title: null, "renamed-method": [], optional: ["a"], optionalFirst: [1, 2], rest: ["a"], unit: [], undefined: [], text: [],
  number: [], date: [new Date(5)], bytes: [new Uint8Array([1])], url: [], error: [], record: [{ a: 1 }],
  unsigned: [false], tuple: [], point: [], names: [], flattened: [], id: [5], pair: [], shapes: [], events: [], notices: [],
  lengths: [], color: ["red"], page: [], tree: [], json: [], foreign: [],
};

/** The same of the row `odd`. */
const ODD = {
  type: [1], größe: null, middle: [1, null, 3], twice: [1], tree: [], opaque: [], mixed: [], adjacent: [], loose: [],
  extended: [], further: [], lone: [], converted: ["a"], transparent: [], marker: [], numbered: [], standard: [], color: ["#010203"],
  decimal: ["1"], invoice: [], model: [], about: [],
};

/** The value in the form that schemas are of. */
function plain(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object") return value;
  if (value instanceof Date) return value.toJSON();
  if (value instanceof URL) return value.href;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, plain(it)]));
}

async function printed(bin, ...options) {
  const { stdout } = await promisify(execFile)(bin, ["dts", ...options], { maxBuffer: 1 << 24 });
  return JSON.parse(stdout);
}

/** Checks all schemas; calls `tell` with what it is about and what was wrong, if anything was. */
export async function schemas(bin, socket, tell) {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  const said = (validate) => ajv.errorsText(validate.errors);

  // Descriptions are what the documented schema says, also an old one.
  const read = async (path) => JSON.parse(await readFile(new URL(path, ROOT), "utf8"));
  const describes = ajv.compile(await read("docs/description.schema.json"));
  const main = await printed(bin, "--as", "json");
  const rowsDescribed = await printed(bin, "--of", "rows", "--as", "json");
  const old = await read("crates/capnweb-core/tests/it/descriptions/version-1.json");
  for (const [name, description] of Object.entries({ main, rowsDescribed, old })) {
    tell(`description: ${name}`, describes(description) ? undefined : said(describes));
  }
  for (const [what, change] of [
    ["a version", (it) => (it.version = 2)],
    ["a name", (it) => delete it.interfaces[0].name],
    ["a result", (it) => delete it.interfaces[0].methods[0].result],
    ["a kind", (it) => delete it.main.kind],
    ["an id", (it) => delete it.main.id],
  ]) {
    const changed = structuredClone(old);
    change(changed);
    tell(`description: ${what} is wrong`, describes(changed) ? "nothing is said of it" : undefined);
  }

  const document = await printed(bin, "--of", "rows", "--as", "schema");
  tell("schemas: they are schemas", ajv.validateSchema({ $defs: document.$defs }) ? undefined : ajv.errorsText());
  ajv.addSchema(document, "rows");
  const at = (...steps) => {
    const pointer = steps.map((step) => encodeURIComponent(step.replace(/~/g, "~0").replace(/\//g, "~1")));
    return ajv.compile({ $ref: `rows#/interfaces/${pointer.join("/")}` });
  };
  for (const [name, [right, wrong]] of Object.entries(ARGUMENTS)) {
    const validate = at("Rows", "methods", name, "parameters");
    for (const list of right) tell(`schemas: ${name}(${JSON.stringify(list)})`, validate(list) ? undefined : said(validate));
    for (const list of wrong) tell(`schemas: not ${name}(${JSON.stringify(list)})`, validate(list) ? "it passes" : undefined);
  }

  const session = newWebSocketRpcSession(socket);
  for (const [name, target, all] of [["Rows", session, RESULTS], ["Odd", session.odd(), ODD]]) {
    for (const [row, list] of Object.entries(all)) {
      const validate = at(name, list ? "methods" : "properties", row, "result");
      const value = plain(await (list ? target[row](...list) : target[row]));
      tell(`schemas: the result of ${name}.${row}`, validate(value) ? undefined : `${said(validate)}: ${JSON.stringify(value)}`);
    }
  }
  // They are not such that anything passes.
  for (const [row, wrong] of [["point", { x: 1 }], ["shapes", [{ square: 1 }]], ["text", 1], ["tuple", [1, "a"]], ["page", { items: [1], byName: {} }]]) {
    const validate = at("Rows", "methods", row, "result");
    tell(`schemas: no result of ${row}`, validate(wrong) ? "it passes" : undefined);
  }
  session[Symbol.dispose]();
}
