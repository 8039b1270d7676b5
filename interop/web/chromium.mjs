// The checks of `capnweb-interop client`, compiled to WebAssembly, in a page of Chromium:
//
//     node chromium.mjs --module DIR --url http://127.0.0.1:8080 …, as client.mjs
//
// DIR is what wasm-bindgen made for pages. One line of JSON a check; exits with 1 if any failed.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve } from "node:path";
import { chromium } from "playwright-core";

const BROWSER = "/usr/bin/chromium";

const words = process.argv.slice(2);
const at = words.indexOf("--module");
if (at < 0) {
  console.error("chromium.mjs: --module names the folder that wasm-bindgen wrote for pages");
  process.exit(2);
}
const [, folder] = words.splice(at, 2);

const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Checks</title>`;
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };

const files = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(PAGE);
    return;
  }
  // The address has no `..` left in it.
  const content = await readFile(join(resolve(folder), pathname)).catch(() => undefined);
  if (!content) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": TYPES[extname(pathname)] ?? "text/plain" }).end(content);
});
files.listen(0, "127.0.0.1");
await once(files, "listening");

const browser = await chromium.launch({
  executablePath: BROWSER,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let passed = false;
try {
  const page = await browser.newPage();
  let problem;
  const gone = new Promise((_, reject) => (problem = reject));
  gone.catch(() => {});
  page.on("pageerror", (error) => problem(error));
  page.on("crash", () => problem(new Error("the page crashed")));
  await page.exposeFunction("report", (line) => console.log(line));
  await page.goto(`http://127.0.0.1:${files.address().port}/`);
  const checking = page.evaluate(async (args) => {
    const module = await import("/capnweb_interop_web.js");
    await module.default();
    return module.check(args, (line) => void globalThis.report(line));
  }, words);
  passed = await Promise.race([checking, gone]);
} catch (error) {
  console.error(error.stack);
} finally {
  await browser.close();
  files.close();
}
process.exit(passed ? 0 : 1);
