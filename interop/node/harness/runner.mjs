import { setTimeout as pause } from "node:timers/promises";
import { Context } from "./context.mjs";
import { checks } from "./registry.mjs";

/**
 * @typedef {object} Connector reaches the peer under test
 * @property {() => string} wsUrl where a new WebSocket goes
 * @property {(path: string) => string} [httpUrl] where a batch goes
 * @property {() => { server: string, client: string }} [pairUrls] both ends of a new pair through a proxy
 */

/**
 * @typedef {object} Sampling says which random values are tried
 * @property {number} seed
 * @property {number} values how many, in both directions
 */

/**
 * Runs every check that applies and prints one line of JSON for each.
 *
 * @param {{ peer: "node"|"rust"|"proxy"|"worker", transports: ("ws"|"batch")[], connector: Connector, sampling: Sampling, only?: string, without?: string[] }} setting
 * @returns {Promise<number>} how many failed
 */
export async function runChecks(setting) {
  surviveLateRejections();
  let failed = 0;
  for (const over of setting.transports) {
    for (const check of checks()) {
      if (!check.over.includes(over) || (setting.only && !check.name.includes(setting.only))) continue;
      if (setting.without?.some((text) => check.name.includes(text))) continue;
      const reason = whyNot(check, setting);
      const report = reason ? { ok: true, skipped: reason } : await runCheck(check, over, setting);
      if (!report.ok) failed += 1;
      console.log(JSON.stringify({ check: check.name, over, ...report }));
    }
  }
  return failed;
}

/** Behind a proxy of ours there is a Node server: only what the proxy decides by itself is ours. */
function whyNot({ notNode, notProxy, notWorker, proxyAnswers }, { peer }) {
  if (peer === "proxy" && notProxy) return notProxy;
  if (peer === "worker" && notWorker) return notWorker;
  const ours = peer === "rust" || peer === "worker" || (peer === "proxy" && proxyAnswers);
  return ours ? undefined : notNode;
}

async function runCheck(check, over, { connector, sampling }) {
  const context = new Context({ over, connector, sampling }, check);
  const started = performance.now();
  const elapsed = () => Math.round(performance.now() - started);
  try {
    // Without this, a check that expects errors would pass with no peer at all.
    await withinSeconds(check.seconds, () => context.assertAnswers());
  } catch (error) {
    await context.close();
    return { ok: false, ms: elapsed(), detail: `the peer does not answer: ${error?.message ?? error}` };
  }
  try {
    await withinSeconds(check.seconds, async () => {
      await check.run(context);
      await context.assertNothingLeaked();
    });
    if (check.known) return { ok: false, ms: elapsed(), detail: `it passes, though it is marked as failing: ${check.known.why}` };
    return { ok: true, ms: elapsed() };
  } catch (error) {
    if (check.known?.fails.test(error?.message)) return { ok: true, ms: elapsed(), skipped: check.known.why };
    return { ok: false, ms: elapsed(), detail: error?.stack ?? String(error) };
  } finally {
    await context.close();
  }
}

/** Runs a function that may take so long and no longer. */
export async function withinSeconds(seconds, run) {
  const stop = new AbortController();
  const late = pause(seconds * 1000, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`took longer than ${seconds} s`);
  });
  late.catch(() => {});
  try {
    await Promise.race([run(), late]);
  } finally {
    stop.abort();
  }
}

/** A check that ends its session on purpose leaves promises behind that nobody awaits. */
export function surviveLateRejections() {
  process.on("unhandledRejection", () => {});
}
