// The example `drawing`, as three people would use it: what one draws the others see, whatever the transport.
//
//     node drawing.mjs --bin ../../target/debug/examples/drawing [--browser /usr/bin/chromium]

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { isPainted } from "./canvas.mjs";
import { launch } from "./launch.mjs";

const { values: options } = parseArgs({
  options: { bin: { type: "string" }, browser: { type: "string", default: "/usr/bin/chromium" } },
});

const server = spawn(options.bin, ["127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
let failed = 0;
const browser = await launch(options.browser);
try {
  const lines = createInterface({ input: server.stdout });
  const [url] = await once(lines, "line", { signal: AbortSignal.timeout(15_000) });
  const open = async (transport) => {
    const page = await browser.newPage({ viewport: { width: 900, height: 500 } });
    page.on("pageerror", (error) => fail(`the page over ${transport} runs`, error.stack));
    await page.goto(`${url}?transport=${transport}`);
    // The state says what it is connected by, once it is.
    await page.waitForFunction(() => /this page/.test(document.getElementById("state").textContent), null, { timeout: 10_000 });
    return page;
  };
  const names = ["ws", "webtransport", "batch"];
  const pages = [];
  for (const name of names) pages.push(await open(name));
  for (const [at, page] of pages.entries()) {
    const y = 100 + 80 * at;
    await page.mouse.move(100, y);
    await page.mouse.down();
    await page.mouse.move(300, y, { steps: 4 });
    await page.mouse.up();
    for (const [other, watching] of pages.entries()) {
      await watching
        .waitForFunction(isPainted, [200, y], { timeout: 10_000 })
        .catch((error) => fail(`what is drawn over ${names[at]} is seen over ${names[other]}`, error.message));
    }
  }
  for (const [at, page] of pages.entries()) {
    await page
      .waitForFunction(() => [...document.querySelectorAll(".number")].every(({ textContent }) => / ms$/.test(textContent)), null, { timeout: 20_000 })
      .catch((error) => fail(`the page over ${names[at]} shows all round trips`, error.message));
  }
} catch (error) {
  fail("the example runs", error.stack);
} finally {
  await browser.close();
  server.kill();
}
console.log(failed === 0 ? "1 passed, 0 failed" : "0 passed, 1 failed");
process.exit(failed > 0 ? 1 : 0);

function fail(title, detail) {
  failed += 1;
  console.error(`FAILED  drawing: ${title}\n${String(detail).replace(/^/gm, "    ")}`);
}
