// Compares declarations that were written by hand with those of Rust traits, as `Declarations::matches` has it do:
//
//     node check.mjs FILE.d.ts --main PublicApi [--typescript FOLDER] < made.d.ts
//
// Prints a line for each difference, and exits with 1 if there is one; with 2 if it cannot compare. Uses the
// TypeScript 5 or 6 and the `capnweb` that the file's own project has.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const { values: options, positionals } = parseArgs({
  options: { main: { type: "string" }, typescript: { type: "string" } },
  allowPositionals: true,
});
if (positionals.length !== 1 || !options.main) {
  fail("usage: node check.mjs FILE.d.ts --main NAME [--typescript FOLDER] < made.d.ts");
}

const FILE = resolve(positionals[0]);
if (!existsSync(FILE)) fail(`there is no ${FILE}`);
const MADE = join(dirname(FILE), "__made-from-rust.d.ts");
const TEXT = readFileSync(0, "utf8");
const ts = compiler();

/** Members of `RpcTarget` that are there for the compiler alone. */
const BRAND = /^__RPC_/;
const problems = [];
/** The pairs of types with parts that are compared already, or are being compared. */
const seen = new Map();

const program = createProgram();
const checker = program.getTypeChecker();
compareFiles();
for (const problem of problems) console.log(problem);
process.exit(problems.length === 0 ? 0 : 1);

function fail(message) {
  console.error(message);
  process.exit(2);
}

function compiler() {
  const from = options.typescript ? resolve(options.typescript) : dirname(FILE);
  const required = createRequire(join(from, "package.json"));
  for (const name of options.typescript ? [from] : ["typescript", "typescript-6", "typescript-5"]) {
    try {
      const found = required(name);
      if (found.createProgram) return found;
    } catch {
      // It is not there, or one that other programs cannot use.
    }
  }
  fail(
    `there is no TypeScript 5 or 6 in ${from}, and later ones cannot be used by programs: ` +
      "npm install --save-dev typescript-6@npm:typescript@6",
  );
}

function createProgram() {
  const settings = {
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.esnext.disposable.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    noEmit: true,
    skipLibCheck: false,
    strict: true,
    target: ts.ScriptTarget.ES2022,
    types: [],
  };
  const host = ts.createCompilerHost(settings);
  const { fileExists, readFile, getSourceFile } = host;
  const isMade = (path) => resolve(path) === MADE;
  host.fileExists = (path) => isMade(path) || fileExists(path);
  host.readFile = (path) => (isMade(path) ? TEXT : readFile(path));
  host.getSourceFile = (path, target, ...rest) =>
    isMade(path) ? ts.createSourceFile(path, TEXT, target, true) : getSourceFile(path, target, ...rest);
  return ts.createProgram([FILE, MADE], settings, host);
}

function compareFiles() {
  for (const path of [FILE, MADE]) {
    const file = program.getSourceFile(path);
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    if (found.length > 0) {
      const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => "", getNewLine: () => "\n" };
      fail(`cannot compare, since the compiler says:\n${ts.formatDiagnostics(found, host)}`);
    }
  }
  const here = exported(FILE);
  const made = exported(MADE);
  if (!here.has(options.main)) {
    problems.push(`there is no ${options.main}`);
    return;
  }
  const names = [options.main, ...[...made.keys()].filter((name) => name !== options.main && here.has(name))];
  for (const name of names) {
    const [mine, theirs] = [here.get(name), made.get(name)].map((it) => checker.getDeclaredTypeOfSymbol(it));
    compare(name, mine, theirs);
  }
}

/** The types that a file exports, by name. */
function exported(path) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(path));
  const symbols = module ? checker.getExportsOfModule(module) : [];
  const resolved = symbols.map((it) => [
    it.name,
    it.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(it) : it,
  ]);
  return new Map(resolved.filter(([, it]) => it.flags & ts.SymbolFlags.Type));
}

function differ(place, mine, theirs) {
  problems.push(`${place}: ${shown(mine)} here, and ${shown(theirs)} in Rust`);
}

function shown(type) {
  return `\`${checker.typeToString(type, undefined, ts.TypeFormatFlags.NoTruncation)}\``;
}

/** Whether two types have been compared: one that refers to itself ends there. */
function isKnown(mine, theirs) {
  const others = seen.get(mine) ?? new Set();
  if (others.has(theirs)) return true;
  seen.set(mine, others.add(theirs));
  return false;
}

function compare(place, whole, other) {
  const [mine, theirs] = [received(whole), received(other)];
  const anything = ts.TypeFlags.Any | ts.TypeFlags.Unknown;
  if (mine === theirs || mine.flags & ts.TypeFlags.Any || theirs.flags & anything) return;
  if (mine.flags & ts.TypeFlags.TypeParameter && theirs.flags & ts.TypeFlags.TypeParameter) return;
  const parts = ts.TypeFlags.Object | ts.TypeFlags.UnionOrIntersection;
  if (mine.flags & theirs.flags & parts && isKnown(mine, theirs)) return;
  if (mine.isUnion() || theirs.isUnion()) return compareUnions(place, members(mine), members(theirs), mine, theirs);
  const [call, calls] = [mine.getCallSignatures(), theirs.getCallSignatures()];
  if (call.length > 0 && calls.length > 0) return compareSignatures(place, call, calls[0]);
  if (call.length !== calls.length) return differ(place, whole, other);
  if (checker.isArrayLikeType(mine) && checker.isArrayLikeType(theirs)) return compareArguments(place, mine, theirs);
  if (isWalked(mine) && isWalked(theirs)) return compareObjects(place, mine, theirs);
  const name = mine.symbol?.name;
  if (name && name === theirs.symbol?.name && !isWalked(theirs)) return compareArguments(place, mine, theirs);
  if (!isSame(mine, theirs)) differ(place, mine, theirs);
}

function isSame(mine, theirs) {
  return checker.isTypeAssignableTo(mine, theirs) && checker.isTypeAssignableTo(theirs, mine);
}

/** What a stub, or the promise of something, is of. */
function received(type) {
  for (;;) {
    const brand = type.getProperty("__RPC_STUB_BRAND");
    if (brand) type = checker.getTypeOfSymbol(brand);
    else if (type.symbol?.name === "Promise") [type] = checker.getTypeArguments(type);
    else return type;
  }
}

/** Whether it is an object of the files compared, whose members are looked at one by one. */
function isWalked(type) {
  if (!(type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) || checker.isArrayLikeType(type)) return false;
  const declarations = type.symbol?.declarations ?? [];
  return !declarations.some((it) => program.isSourceFileDefaultLibrary(it.getSourceFile()) && !ts.isMappedTypeNode(it));
}

function members(type) {
  return type.isUnion() ? type.types : [type];
}

function compareUnions(place, mine, theirs, whole, other) {
  const both = [...mine].filter((it) => theirs.some((that) => it === that || isSame(it, that)));
  const left = mine.filter((it) => !both.includes(it));
  const right = theirs.filter((it) => !mine.some((that) => it === that || isSame(it, that)));
  if (left.length === 1 && right.length === 1 && (isWalked(left[0]) === isWalked(right[0]))) {
    return compare(place, left[0], right[0]);
  }
  // The same number of objects: told apart by a literal that they share, or in their order.
  const objects = left.filter(isWalked);
  if (objects.length === left.length && left.length === right.length && right.every(isWalked)) {
    const pairs = left.map((it) => [it, right.find((that) => tag(that) === tag(it))]);
    if (pairs.every(([, that]) => that)) {
      for (const [it, that] of pairs) compare(`${place} (${tag(it)})`, it, that);
      return;
    }
  }
  if (left.length > 0 || right.length > 0) differ(place, whole, other);
}

/** What tells a variant from others: its literals, or the names of its members. */
function tag(type) {
  const all = type.getProperties().map((it) => [it.name, checker.getTypeOfSymbol(it)]);
  const literals = all.filter(([, it]) => it.isStringLiteral()).map(([name, it]) => `${name}: "${it.value}"`);
  return literals.join(", ") || all.map(([name]) => name).join(", ");
}

function compareArguments(place, mine, theirs) {
  const [left, right] = [checker.getTypeArguments(mine), checker.getTypeArguments(theirs)];
  if (left.length !== right.length || checker.isTupleType(mine) !== checker.isTupleType(theirs)) {
    return differ(place, mine, theirs);
  }
  if (left.length === 0 && !isSame(mine, theirs)) return differ(place, mine, theirs);
  // A typed array has the buffer beneath it as its argument, which nobody means.
  if (/Array$/.test(mine.symbol?.name ?? "") && !checker.isArrayLikeType(mine)) return;
  for (const [at, it] of left.entries()) {
    compare(checker.isTupleType(mine) ? `${place}[${at}]` : `${place}, each`, it, right[at]);
  }
}

function compareObjects(place, mine, theirs) {
  const [left, right] = [membersOf(mine), membersOf(theirs)];
  if (isBranded(theirs) && !isBranded(mine)) {
    problems.push(`${place}: does not extend \`RpcTarget\`, so that stubs of it have the wrong types`);
  }
  for (const [name, it] of right) {
    const that = left.get(name);
    const member = `${place}.${name}`;
    if (!that) {
      problems.push(`${member}: is missing here`);
      continue;
    }
    const [optional, optionalInRust] = [that, it].map((one) => Boolean(one.flags & ts.SymbolFlags.Optional));
    if (optional !== optionalInRust) {
      problems.push(`${member}: ${optional ? "may" : "cannot"} be left out here, and ${optionalInRust ? "may" : "cannot"} in Rust`);
    }
    compareMaybe(member, checker.getTypeOfSymbol(that), checker.getTypeOfSymbol(it), optional || optionalInRust);
  }
  for (const name of left.keys()) {
    if (!right.has(name)) problems.push(`${place}.${name}: there is no such thing in Rust`);
  }
  const [index, indexInRust] = [mine, theirs].map((it) => checker.getIndexInfoOfType(it, ts.IndexKind.String));
  if (index && indexInRust) compare(`${place}, each value`, index.type, indexInRust.type);
  else if (Boolean(index) !== Boolean(indexInRust)) differ(place, mine, theirs);
}

/** Compares what can be left out, for which `null` and `undefined` mean the same. */
function compareMaybe(place, mine, theirs, isOptional) {
  if (!isOptional) return compare(place, mine, theirs);
  compare(place, checker.getNonNullableType(mine), checker.getNonNullableType(theirs));
}

function membersOf(type) {
  const properties = checker.getPropertiesOfType(type);
  return new Map(properties.filter((it) => !BRAND.test(it.name)).map((it) => [it.name, it]));
}

function isBranded(type) {
  return checker.getPropertiesOfType(type).some((it) => BRAND.test(it.name));
}

function compareSignatures(place, overloads, theirs) {
  if (overloads.length > 1) problems.push(`${place}: has ${overloads.length} signatures here, and one in Rust`);
  const [left, right] = [overloads[0].parameters, theirs.parameters];
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const [mine, other] = [left[at], right[at]];
    if (!mine || !other) {
      problems.push(`${place}: ${mine ? "Rust has no" : "has no"} parameter ${at + 1}, \`${(mine ?? other).name}\``);
      continue;
    }
    const parameter = `${place}, parameter ${at + 1} (${mine.name})`;
    const [isRest, isRestInRust] = [mine, other].map((it) => Boolean(it.valueDeclaration?.dotDotDotToken));
    const [optional, optionalInRust] = [mine, other].map((it) => Boolean(it.valueDeclaration?.questionToken));
    if (isRest !== isRestInRust) {
      problems.push(`${parameter}: ${isRest ? "takes" : "does not take"} the rest of the arguments here, unlike in Rust`);
      continue;
    }
    if (optional !== optionalInRust) {
      problems.push(`${parameter}: ${optional ? "may" : "cannot"} be left out here, and ${optionalInRust ? "may" : "cannot"} in Rust`);
    }
    compareMaybe(parameter, checker.getTypeOfSymbol(mine), checker.getTypeOfSymbol(other), optional || optionalInRust);
  }
  compare(`${place}, result`, overloads[0].getReturnType(), theirs.getReturnType());
}
