// What the programs of checks in this folder share.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

/**
 * Runs checks one after another, prints how many passed, and ends the process.
 *
 * @param {string} title of the program
 * @param {number} seconds that each check may take
 * @param {Record<string, (keep: <S>(stub: S) => S) => Promise<unknown>>} checks; stubs that they keep are disposed
 * @param {() => Promise<void>} [finish] runs at the end
 */
export async function runChecks(title, seconds, checks, finish = async () => {}) {
  // A check that ends its session on purpose leaves promises behind that nobody awaits.
  process.on("unhandledRejection", () => {});
  const tally = { passed: 0, failed: 0 };
  for (const [name, check] of Object.entries(checks)) {
    const kept = [];
    const keep = (stub) => (kept.push(stub), stub);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`took over ${seconds} s`)), seconds * 1000);
    });
    try {
      await Promise.race([check(keep), late]);
      tally.passed += 1;
    } catch (error) {
      tally.failed += 1;
      console.error(`FAILED  ${title}: ${name}\n${error.stack ?? error}`);
    } finally {
      clearTimeout(timer);
      for (const stub of kept.reverse()) stub[Symbol.dispose]();
    }
  }
  await finish();
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  process.exit(tally.failed > 0 ? 1 : 0);
}

/** Starts a server that prints a line of JSON with its address when it is ready. */
export async function startServer(command, ...args) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (text) => (errors += text));
  const exited = once(child, "close");
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    exited.then(() => Promise.reject(new Error(`the server ended: ${errors}`))),
  ]);
  return {
    addr: JSON.parse(line).addr,
    child,
    errors: () => errors,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await exited;
    },
  };
}

/** Starts the Worker in a process of its own. `module` is the folder with `bundler` in it. */
export const startWorker = (module) =>
  startServer(process.execPath, here("worker.mjs"), "--module", resolve(module, "bundler"));

/** The modules in JavaScript that crates bring along, for Miniflare. */
export async function snippets(folder) {
  const names = await readdir(folder, { recursive: true });
  const wanted = names.filter((name) => name.startsWith("snippets/") && name.endsWith(".js"));
  return Promise.all(
    wanted.map(async (path) => ({ type: "ESModule", path, contents: await readFile(resolve(folder, path)) })),
  );
}
