// The example `drawing` with its page in Rust, beside the page in TypeScript: what one draws the other sees.
//
//     node drawing.mjs --bin ../../target/debug/examples/drawing
//
// `cargo xtask wasm` has made the page, in `target/wasm-drawing`.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { isPainted } from "../browser/canvas.mjs";
import { runChecks } from "./harness.mjs";
import { launch } from "./page.mjs";

const SECONDS = 60;
const { values: options } = parseArgs({ options: { bin: { type: "string" } } });

/** A place of the drawing, from 0 to 1, in the page's window. The pages' canvases differ in size. */
async function place(page, x, y) {
  const box = await page.locator("#canvas").boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}

/** Draws a horizontal line. */
async function draw(page, y) {
  await page.bringToFront();
  await page.mouse.move(...(await place(page, 0.2, y)));
  await page.mouse.down();
  await page.mouse.move(...(await place(page, 0.6, y)), { steps: 4 });
  await page.mouse.up();
}

/** Waits until a page shows the line. */
const shows = async (page, y) => page.waitForFunction(isPainted, await place(page, 0.4, y), { polling: 50 });

const server = spawn(options.bin, ["127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
const [url] = await once(createInterface({ input: server.stdout }), "line");
const browser = await launch();

const checks = {
  "a page in Rust and one in TypeScript": async () => {
    const faults = [];
    const open = async (path) => {
      const page = await browser.newPage({ viewport: { width: 900, height: 500 } });
      page.on("pageerror", (error) => faults.push(error));
      await page.goto(new URL(path, url).href);
      await page.waitForFunction(() => /this page/.test(document.getElementById("state").textContent));
      return page;
    };
    const pages = [await open("rust/"), await open("?transport=ws")];
    for (const [at, page] of pages.entries()) {
      const y = 0.3 + 0.2 * at;
      await draw(page, y);
      for (const watching of pages) await shows(watching, y);
    }
    // A page that opens later shows what was drawn before.
    await shows(await open("rust/"), 0.5);
    if (faults.length > 0) throw faults[0];
  },
};

await runChecks("drawing", SECONDS, checks, async () => {
  await browser.close();
  server.kill();
});
