// What the checker says of declarations that were written by hand, for edits of those that were made.

import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const CHECKER = join(HERE, "../../crates/capnweb-core/src/describe/typescript/check.mjs");

/** Edits that make a difference, and what is said of each. */
const DIFFERENT = [
  ["  nameOf(user: User): Promise<string>;\n", "", "Rows.nameOf: is missing here"],
  ["  pair():", "  par(): Promise<void>;\n  pair(of: string):", "Rows.par: there is no such thing in Rust", "Rows.pair: Rust has no parameter 1, `of`"],
  ["  date(date: Date)", "  date(date: string)", "Rows.date, parameter 1 (date): `string` here, and `Date` in Rust"],
  ["optionalFirst(first: number | null | undefined, second: number)", "optionalFirst(first: number | null | undefined)", "Rows.optionalFirst: has no parameter 2, `second`"],
  ["second?: number | null", "second: number", "Rows.optional, parameter 2 (second): cannot be left out here, and may in Rust"],
  ["  user(id: number)", "  user(id?: number)", "Rows.user, parameter 1 (id): may be left out here, and cannot in Rust"],
  ["...others: number[]", "others: number[]", "Rows.rest, parameter 2 (others): does not take the rest of the arguments here, unlike in Rust"],
  ["  text(): Promise<string>", "  text(): Promise<number>", "Rows.text, result: `number` here, and `string` in Rust"],
  ["  maybeUser(there: boolean): Promise<User | null>", "  maybeUser(there: boolean): Promise<User>", "Rows.maybeUser, result: `User` here, and `User | null` in Rust"],
  ["  huge(): Promise<number | bigint>", "  huge(): Promise<bigint>", "Rows.huge, result: `bigint` here, and `number | bigint` in Rust"],
  ["  x: number;\n", "  z: number;\n", "Rows.optional, parameter 3 (third).x: is missing here", "Rows.optional, parameter 3 (third).z: there is no such thing in Rust"],
  ["  pointLabel?: string | null", "  pointLabel: string", "Rows.optional, parameter 3 (third).pointLabel: cannot be left out here, and may in Rust"],
  ["  readonly title: Promise<string>", "  title(): Promise<string>", "Rows.title: `() => Promise<string>` here, and `Promise<string>` in Rust"],
  ['"darkGreen"', '"green"', 'Rows.color, parameter 1 (color): `"green"` here, and `"darkGreen"` in Rust'],
  ["userName: string", "userName: number", 'Rows.events, result, each (type: "logIn").userName: `number` here, and `string` in Rust'],
  ["(a: number) => string |", "(a: Date) => string |", "Rows.call, parameter 1 (function_), parameter 1 (a): `Date` here, and `number` in Rust"],
  ["ReadableStream<string>", "ReadableStream<number>", "Rows.readable, result, each: `number` here, and `string` in Rust"],
  ["map: Record<string, number>", "map: Record<string, string>", "Rows.record, parameter 1 (map), each value: `string` here, and `number` in Rust"],
  ["[number, string, boolean | null]", "(number | string | boolean | null)[]", "Rows.tuple, result: `(string | number | boolean | null)[]` here, and `[number, string, boolean | null]` in Rust"],
  ["floats(floats: Float32Array)", "floats(floats: Float64Array)", "Rows.floats, parameter 1 (floats): `Float64Array<ArrayBufferLike>` here, and `Float32Array<ArrayBufferLike>` in Rust"],
  ["interface User extends RpcTarget", "interface User", "Rows.user, result: does not extend `RpcTarget`, so that stubs of it have the wrong types"],
  ["interface Editor extends Reader", "interface Editor extends RpcTarget", "Rows.editor, result.read: is missing here"],
  ["  items: T[];", "  items: T[] | null;", "Rows.page, result.items: `Point[] | null` here, and `Point[]` in Rust", "Page.items: `T[] | null` here, and `T[]` in Rust"],
  ["  keys(): Promise<K[]>", "  keys(): Promise<K>", "Rows.store, result.keys, result: `string` here, and `string[]` in Rust", "Store.keys, result: `K` here, and `K[]` in Rust"],
];

/** Edits that make none. */
const SAME = [
  ["  user(id: number)", "  user(number: number)"],
  ["third?: Point | null", "third?: Point"],
  ["  pointLabel?: string | null", "  pointLabel?: string"],
  ["  nameOf(user: User): Promise<string>", "  nameOf(user: User): string"],
  ["(a: RpcStub<User>)", "(a: User)"],
  ["map: Record<string, number>", "map: { [key: string]: number }"],
  ["  text(): Promise<string>", "  text(): any"],
  ["  foreign(): Promise<unknown>", "  foreign(): Promise<{ x: number }>"],
  [/\bUser\b/g, "Person"],
  [/\bPage\b/g, "Leaf"],
  ["Made from Rust traits by", "Written by hand with"],
];

function check(file, made, compiler) {
  return new Promise((done) => {
    const typescript = join(HERE, "node_modules", compiler);
    const parameters = [CHECKER, file, "--main", "Rows", "--typescript", typescript];
    const child = execFile(process.execPath, parameters, { timeout: 60_000 }, (error, stdout, stderr) => {
      done({ code: error ? error.code : 0, lines: stdout.split("\n").filter(Boolean), stderr });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(made);
  });
}

/** Checks the edits; calls `tell` with what it is about and what was wrong, if anything was. */
export async function matches(tell) {
  const made = await readFile(join(HERE, "rows.d.ts"), "utf8");
  const folder = await mkdtemp(join(HERE, "node_modules", ".matches-"));
  await cp(join(HERE, "package.json"), join(folder, "package.json"));
  const file = join(folder, "api.d.ts");
  const edited = (edits) =>
    edits.reduce((text, [old, changed]) => {
      const next = text.replaceAll(old, changed);
      if (next === text) tell(`there is what is edited by hand: ${old}`, "there is not");
      return next;
    }, made);
  try {
    await writeFile(file, made);
    const same = await check(file, made, "typescript-5");
    tell("by hand: nothing", same.code === 0 && same.lines.length === 0 ? undefined : JSON.stringify(same));
    await writeFile(file, edited(SAME));
    const as = await check(file, made, "typescript-5");
    tell("by hand: what makes no difference", as.code === 0 && as.lines.length === 0 ? undefined : JSON.stringify(as, null, 1));
    for (const compiler of ["typescript-5", "typescript-6"]) {
      await writeFile(file, edited(DIFFERENT));
      const { code, lines, stderr } = await check(file, made, compiler);
      if (code !== 1) tell(`by hand, ${compiler}: differences`, `exit ${code}: ${stderr}`);
      const expected = DIFFERENT.flatMap(([, , ...said]) => said);
      for (const line of expected) tell(`by hand, ${compiler}: ${line}`, lines.includes(line) ? undefined : lines.join("\n"));
      // What has a point in it differs as well.
      const others = lines.filter((line) => !expected.includes(line) && !/^(Rows\.flattened|Rows\.events.*"moved"|Rows.odd, result\.extended|(Store|Cache)\.all)/.test(line));
      tell(`by hand, ${compiler}: nothing else is said`, others.length > 0 ? others.join("\n") : undefined);
    }
    await writeFile(file, "export interface Other {}");
    const other = await check(file, made, "typescript-5");
    tell("by hand: no main interface", other.lines.includes("there is no Rows") ? undefined : JSON.stringify(other));
    await writeFile(file, "export interface Rows { (");
    const broken = await check(file, made, "typescript-5");
    tell("by hand: no TypeScript", broken.code === 2 && /cannot compare/.test(broken.stderr) ? undefined : JSON.stringify(broken));
    const seven = await check(file, made, "typescript-7");
    tell("by hand: a compiler that cannot compare", seven.code === 2 && /no TypeScript 5 or 6/.test(seven.stderr) ? undefined : JSON.stringify(seven));
  } finally {
    await rm(folder, { recursive: true });
  }
}
