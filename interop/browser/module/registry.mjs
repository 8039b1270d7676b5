// The list of the module's checks, and what they are written with.

const SECONDS = 20;
const registered = [];

export function topic(name) {
  return (title, run) => registered.push({ name: `${name}: ${title}`, run });
}

/** Runs the checks whose name holds `only`; returns how many passed and failed. */
export async function runChecks(only = "") {
  const tally = { passed: 0, failed: 0 };
  let stray;
  // A promise that nobody handles would end a program of a user.
  process.on("unhandledRejection", (error) => (stray ??= error));
  for (const { name, run } of registered.filter((check) => check.name.includes(only))) {
    stray = undefined;
    try {
      await within(SECONDS, run());
      await new Promise((resolve) => setImmediate(resolve));
      if (stray) throw new Error("a rejection is not handled", { cause: stray });
      tally.passed += 1;
    } catch (error) {
      tally.failed += 1;
      console.error(`FAILED  ${name}\n${String(error?.stack ?? error).replace(/^/gm, "    ")}`);
      if (error?.cause) console.error(`    caused by ${error.cause.stack ?? error.cause}`);
    }
  }
  return tally;
}

// Checks exchange the clock that `setTimeout` goes by.
const { setTimeout, clearTimeout } = globalThis;

async function within(seconds, running) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${seconds} s`)), seconds * 1000);
  });
  try {
    await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}
