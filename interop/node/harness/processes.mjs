// Programs of checks that start the processes which they need.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { surviveLateRejections, withinSeconds } from "./runner.mjs";

const SECONDS = 20;

const { values: options } = parseArgs({ options: { bin: { type: "string" }, only: { type: "string" } } });
if (!options.bin) {
  console.error("--bin must name the capnweb-interop program");
  process.exit(2);
}

const inNode = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));

/** A process whose lines of JSON are read one by one. */
export class Process {
  static #all = [];
  #lines;
  #errors = "";

  constructor(command, ...args) {
    this.child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stderr.on("data", (text) => (this.#errors += text));
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.exited = once(this.child, "close").then(([code, signal]) => signal ?? code);
    Process.#all.push(this);
  }

  static rust(...args) {
    return new Process(options.bin, ...args);
  }

  static node(file, ...args) {
    return new Process(process.execPath, inNode(file), ...args);
  }

  async line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the process ended: ${this.#errors}`);
    return JSON.parse(value);
  }

  /** Kills what is left, also what was stopped. */
  static async killAll() {
    const all = Process.#all.splice(0);
    for (const { child } of all) child.kill("SIGKILL");
    await Promise.all(all.map(({ exited }) => exited));
  }
}

/**
 * Runs the checks, prints one line of JSON for each, and exits with 1 if any failed.
 *
 * @param {string} topic what their names begin with
 * @param {Record<string, () => Promise<void>>} checks
 */
export async function runPrograms(topic, checks) {
  surviveLateRejections();
  let failed = 0;
  for (const [title, run] of Object.entries(checks)) {
    const name = `${topic}: ${title}`;
    if (options.only && !name.includes(options.only)) continue;
    const began = performance.now();
    const report = { check: name, over: "ws", ok: true };
    try {
      await withinSeconds(SECONDS, run);
    } catch (error) {
      failed += 1;
      Object.assign(report, { ok: false, detail: error?.stack ?? String(error) });
    } finally {
      await Process.killAll();
    }
    console.log(JSON.stringify({ ...report, ms: Math.round(performance.now() - began) }));
  }
  process.exit(failed > 0 ? 1 : 0);
}
