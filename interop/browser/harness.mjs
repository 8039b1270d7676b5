// What a run of `checks.js` needs around it, whatever loads it: servers of ours, and a table of what came of the checks.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const READY_SECONDS = 15;

/** A run of `name` against the program `bin`; `seconds` is how long it may take in all. */
export class Harness {
  #name;
  #bin;
  #rows = new Map();
  #servers = new Map();
  #late;

  constructor(name, bin, seconds) {
    this.#name = name;
    this.#bin = bin;
    this.#late = setTimeout(() => {
      console.error(`${name} was still running after ${seconds} s`);
      for (const { child } of this.#servers.values()) child.kill("SIGKILL");
      process.exit(1);
    }, seconds * 1000);
  }

  /** Takes what `checks.js` reports of a check. */
  report({ check, over, ok, ms, skipped, detail }) {
    const row = this.#row(over);
    row.ms += ms;
    if (skipped) {
      row.skipped += 1;
      console.error(`skipped ${this.#name} ${over}: ${check}: ${skipped}`);
    } else if (ok) row.passed += 1;
    else this.fail(over, check, detail);
  }

  fail(over, title, detail) {
    this.#row(over).failed += 1;
    console.error(`FAILED  ${this.#name} ${over}: ${title}\n${String(detail).replace(/^/gm, "    ")}`);
  }

  #row(over) {
    if (!this.#rows.has(over)) this.#rows.set(over, { over, passed: 0, failed: 0, skipped: 0, ms: 0 });
    return this.#rows.get(over);
  }

  /** Starts a server, unless told otherwise one of everything; returns where it is, over each transport. */
  async startServer(command = ["serve", "--webtransport", "127.0.0.1:0"]) {
    const child = spawn(this.#bin, [...command, "--listen", "127.0.0.1:0"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let errors = "";
    child.stderr.on("data", (text) => (errors = (errors + text).slice(-20_000)));
    const lines = createInterface({ input: child.stdout });
    const [line] = await once(lines, "line", { signal: AbortSignal.timeout(READY_SECONDS * 1000) });
    const { addr, webtransport } = JSON.parse(line);
    const id = String(child.pid);
    this.#servers.set(id, { child, errors: () => errors });
    return {
      id,
      http: `http://${addr}/`,
      ws: `ws://${addr}/`,
      webtransport: webtransport && `https://${webtransport.addr}/`,
      hash: webtransport?.hash,
    };
  }

  /** Whether the server has ended by itself. */
  hasEnded(id) {
    return this.#servers.get(id)?.child.exitCode !== null;
  }

  async killServer(id) {
    const { child, errors } = this.#servers.get(id);
    this.#servers.delete(id);
    if (child.exitCode === null) {
      const closed = once(child, "close");
      child.kill("SIGKILL");
      await closed;
    }
    if (/panicked at/.test(errors())) this.fail("all", "nothing panicked", errors());
  }

  /** Ends the servers, prints the table and its sum, and returns the program's exit code. */
  async finish({ mayBeEmpty = false } = {}) {
    for (const id of [...this.#servers.keys()]) await this.killServer(id);
    clearTimeout(this.#late);
    if (this.#rows.size === 0 && !mayBeEmpty) this.fail("all", "checks were reported", "none was");
    const all = [...this.#rows.values()];
    const cell = (row, key) => `${String(row[key]).padStart(4)} ${key}`;
    for (const row of all) {
      const cells = ["passed", "failed", "skipped"].map((key) => cell(row, key));
      console.log(`${`${this.#name} ${row.over}`.padEnd(24)}${cells.join("")}${String(row.ms).padStart(7)} ms`);
    }
    const sum = (key) => all.reduce((total, row) => total + row[key], 0);
    console.log(`${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
    return sum("failed") > 0 ? 1 : 0;
  }
}
