// Proves the declarations that Rust traits make: `node run.mjs --bin PATH`, with the path of `capnweb-interop`.
//
// Each compiler has to take `accept.ts` and find each mistake in `reject.ts`. A declaration that has changed in a
// copy has to break the uses of it, and so has a trait that has. A server sends a value of each row, whose kind is looked
// at, and serves what describes it.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { newHttpBatchRpcSession } from "capnweb";
import { WebSocket } from "ws";
import { ask, odd, rows } from "./kinds.mjs";
import { matches } from "./matches.mjs";
import { schemas } from "./schemas.mjs";

// Node 20 has none of its own, and npm capnweb asks it for its constants.
globalThis.WebSocket ??= WebSocket;

const HERE = dirname(fileURLToPath(import.meta.url));
const COMPILERS = ["typescript-5", "typescript-6", "typescript-7"];

/** Changes of the traits, as they change the declarations, and what has to break. */
const DRIFT = [
  ["a method is renamed", "  nameOf(", "  theNameOf("],
  ["a parameter has another type", "  user(id: number)", "  user(id: string)"],
  ["a parameter is added", "  pair():", "  pair(of: string):"],
  ["a result has another type", "  text(): Promise<string>", "  text(): Promise<number>"],
  ["a result can be missing", "  point(): Promise<Point>", "  point(): Promise<Point | null>"],
  ["a field is gone", "  x: number;\n", ""],
  ["a variant is renamed", '"darkGreen"', '"green"'],
  ["a tag is renamed", '{ type: "logOut" }', '{ type: "left" }'],
  ["a property becomes a method", "  readonly title: Promise", "  title(): Promise"],
  ["a callback takes another type", "(a: number) => string |", "(a: Date) => string |"],
  ["an interface extends no other", "interface Editor extends Reader", "interface Editor extends RpcTarget"],
];

const bin = process.argv[process.argv.indexOf("--bin") + 1];
if (!process.argv.includes("--bin") || !bin) {
  console.error("usage: node run.mjs --bin PATH");
  process.exit(2);
}

let passed = 0;
let failed = 0;

function tell(name, problem) {
  if (problem === undefined) {
    passed += 1;
  } else {
    failed += 1;
    console.log(`FAILED ${name}\n${problem?.stack ?? problem}`);
  }
}

/** Returns what the compiler says, which is nothing if it has nothing to object to. */
async function compile(compiler, folder) {
  const tsc = join(HERE, "node_modules", compiler, "bin", "tsc");
  const run = promisify(execFile)(process.execPath, [tsc, "-p", folder], { timeout: 120_000 });
  return run.then(() => "", (error) => error.stdout || String(error));
}

/** Has `use` a copy of the sources beside the packages, and removes it. */
async function inCopy(use) {
  const folder = await mkdtemp(join(HERE, "node_modules", ".copy-"));
  try {
    for (const file of ["accept.ts", "reject.ts", "rows.d.ts", "tsconfig.json", "package.json"]) {
      await cp(join(HERE, file), join(folder, file));
    }
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function printed(...options) {
  const { stdout } = await promisify(execFile)(bin, ["dts", ...options], { maxBuffer: 1 << 24 });
  return stdout;
}

async function compilers() {
  for (const compiler of COMPILERS) {
    const said = await compile(compiler, HERE);
    tell(`${compiler} takes the uses, and finds the mistakes`, said || undefined);
  }
  const pages = await compile("typescript-5", join(HERE, "pages.json"));
  tell("the pages of the examples go with their declarations", pages || undefined);
  // Each mistake is one indeed: without the comment it is an error.
  await inCopy(async (folder) => {
    const file = join(folder, "reject.ts");
    const text = await readFile(file, "utf8");
    const mistakes = text.split("@ts-expect-error").length - 1;
    await writeFile(file, text.replaceAll("@ts-expect-error", ""));
    const said = await compile("typescript-5", folder);
    const found = new Set([...said.matchAll(/^\S*reject\.ts\((\d+)/gm)].map((match) => match[1]));
    const problem = found.size < mistakes ? `${found.size} of ${mistakes}:\n${said}` : undefined;
    tell("every mistake is an error", problem);
  });
}

async function drift() {
  const declarations = await readFile(join(HERE, "rows.d.ts"), "utf8");
  const problem = declarations === (await printed("--of", "rows")) ? undefined : "run the tests of interop again";
  tell("the declarations are those that the program prints", problem);
  await inCopy(async (folder) => {
    // One run of the compiler for all of them, each with a copy of the uses of its own.
    const changes = [["nothing", "", ""], ...DRIFT];
    const files = [];
    for (const [at, [what, old, changed]] of changes.entries()) {
      tell(`there is what changes: ${what}`, declarations.includes(old) ? undefined : old);
      await mkdir(join(folder, `${at}`));
      await cp(join(HERE, "accept.ts"), join(folder, `${at}`, "accept.ts"));
      await writeFile(join(folder, `${at}`, "rows.d.ts"), declarations.replaceAll(old, changed));
      files.push(`${at}/accept.ts`);
    }
    const config = JSON.parse(await readFile(join(folder, "tsconfig.json"), "utf8"));
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ ...config, files }));
    const said = await compile("typescript-5", folder);
    const broken = new Set([...said.matchAll(/\b(\d+)\/accept\.ts\(/g)].map((match) => Number(match[1])));
    for (const [at, [what]] of changes.entries()) {
      const isRight = broken.has(at) === (at !== 0);
      tell(what, isRight ? undefined : `the compiler says:\n${said}`);
    }
  });
}

/** Traits that have changed: the page that was written by the first of them has to break. */
async function changedTraits() {
  const copies = [
    "method-renamed",
    "method-renamed-on-the-wire",
    "parameter-changed",
    "parameter-gone",
    "result-optional",
    "callback-changed",
    "field-renamed",
    "field-renamed-on-the-wire",
    "field-changed",
    "field-optional",
    "variant-renamed",
  ];
  await inCopy(async (folder) => {
    const names = ["kept", ...copies];
    for (const name of names) {
      await mkdir(join(folder, name));
      await cp(join(HERE, "drift.ts"), join(folder, name, "drift.ts"));
      await writeFile(join(folder, name, "board.d.ts"), await printed("--of", `drift-${name}`));
    }
    const config = JSON.parse(await readFile(join(folder, "tsconfig.json"), "utf8"));
    const files = names.map((name) => `${name}/drift.ts`);
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ ...config, files }));
    const said = await compile("typescript-5", folder);
    for (const name of names) {
      const isBroken = said.includes(`${name}/drift.ts(`);
      tell(`a trait changes: ${name}`, isBroken === (name !== "kept") ? undefined : `the compiler says:\n${said}`);
    }
    // The checker of declarations by hand finds the same, by way of the library.
    const compare = (of) => {
      const file = join(folder, "kept", "board.d.ts");
      const run = promisify(execFile)(bin, ["compare", "--file", file, "--of", `drift-${of}`]);
      return run.then(({ stdout }) => stdout, (error) => error.stdout || String(error));
    };
    await mkdir(join(folder, "kept", "node_modules"));
    await symlink(join(HERE, "node_modules", "typescript-6"), join(folder, "kept", "node_modules", "typescript"));
    tell("the library compares: nothing differs", (await compare("kept")) || undefined);
    const different = await compare("parameter-changed");
    const expected = "Board.note, parameter 1 (id): `number` here, and `string` in Rust\n";
    tell("the library compares: a parameter differs", different === expected ? undefined : different);
  });
}

/** Checks that there is a check of each member that an interface of the declarations has. */
function complete(declarations, name, checks) {
  const [, body] = declarations.match(new RegExp(`^export interface ${name} [^{]*\\{\\n([^]*?)^\\}`, "m"));
  let count = 0;
  for (const [, member] of body.matchAll(/^ {2}(?:readonly )?([\p{L}\w]+|"(?:[^"\\]|\\.)*")(?:\(|: Promise)/gmu)) {
    const row = member.startsWith('"') ? JSON.parse(member) : member;
    count += 1;
    if (!(row in checks)) tell(`${name}.${row}`, "the row is declared, and nobody asks for it");
  }
  tell(`${name} has rows`, count > 20 ? undefined : `it has ${count}`);
}

async function kinds() {
  const declarations = await readFile(join(HERE, "rows.d.ts"), "utf8");
  complete(declarations, "Rows", rows);
  complete(declarations, "Odd", odd);
  await served(["rows"], async (addr) => {
    await ask(new WebSocket(`ws://${addr}/`), tell);
    await schemas(bin, new WebSocket(`ws://${addr}/`), tell);
    await files(`http://${addr}/interface`, declarations);
    // In a batch as well.
    const { main } = await newHttpBatchRpcSession(`http://${addr}/`).$interface;
    tell("$interface in a batch", main.id.endsWith("::Rows") ? undefined : JSON.stringify(main));
  });
  // A server that was not told to tells nothing.
  await served(["serve"], async (addr) => {
    const found = await newHttpBatchRpcSession(`http://${addr}/`).$interface;
    tell("$interface is off unless it is on", found === undefined ? undefined : JSON.stringify(found));
  });
}

/** Runs a server for as long as `use` takes. */
async function served(command, use) {
  const server = spawn(bin, [...command, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = await once(server.stdout, "data", { signal: AbortSignal.timeout(10_000) });
    await use(JSON.parse(line.toString()).addr);
  } finally {
    server.kill();
  }
}

/** What the server serves beside the rows. */
async function files(url, declarations) {
  const expected = {
    "api.d.ts": ["application/typescript; charset=utf-8", declarations],
    "description.json": ["application/json", await printed("--of", "rows", "--as", "json")],
    "schema.json": ["application/schema+json", await printed("--of", "rows", "--as", "schema")],
  };
  for (const [name, [type, text]] of Object.entries(expected)) {
    const response = await fetch(`${url}/${name}`);
    const got = response.headers.get("content-type");
    tell(`${name} is served`, response.status === 200 && got === type ? undefined : `${response.status} ${got}`);
    tell(`${name} is what is printed`, (await response.text()) === text ? undefined : "it is not");
  }
}

await kinds();
await compilers();
await drift();
await changedTraits();
await matches(tell);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
