// Proves the declarations that Rust traits make: `node run.mjs --bin PATH`, with the path of `capnweb-interop`.
//
// Each compiler has to take `accept.ts` and find each mistake in `reject.ts`. A declaration that has changed in a
// copy has to break the uses of it. A server sends a value of each row, whose kind is looked at.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import { ask, rows } from "./kinds.mjs";

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

async function printed() {
  const { stdout } = await promisify(execFile)(bin, ["dts", "--of", "rows"]);
  return stdout;
}

async function compilers() {
  for (const compiler of COMPILERS) {
    const said = await compile(compiler, HERE);
    tell(`${compiler} takes the uses, and finds the mistakes`, said || undefined);
  }
  const drawing = await compile("typescript-5", join(HERE, "drawing.json"));
  tell("the page of the example `drawing` goes with its declarations", drawing || undefined);
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
  const problem = declarations === (await printed()) ? undefined : "run the tests of interop again";
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

async function kinds() {
  const declarations = await readFile(join(HERE, "rows.d.ts"), "utf8");
  const [, body] = declarations.match(/^export interface Rows [^{]*\{\n([^]*?)^\}/m);
  for (const [, name] of body.matchAll(/^ {2}(?:readonly )?"?([\w-]+)"?[(:]/gm)) {
    if (!(name in rows)) tell(name, "the row is declared, and nobody asks for it");
  }
  const server = spawn(bin, ["rows", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = await once(server.stdout, "data", { signal: AbortSignal.timeout(10_000) });
    const { addr } = JSON.parse(line.toString());
    await ask(new WebSocket(`ws://${addr}/`), tell);
  } finally {
    server.kill();
  }
}

await kinds();
await compilers();
await drift();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
