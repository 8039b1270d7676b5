// A page of Chromium that has loaded the program in WebAssembly, as `globalThis.program`.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve } from "node:path";
import { chromium } from "playwright-core";
import { flags } from "../browser/flags.mjs";

const BROWSER = "/usr/bin/chromium";
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Checks</title>`;
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };

/**
 * Opens a browser and the page in it. Whoever closes the browser closes both.
 *
 * @param {string} folder what wasm-bindgen made for pages
 */
export async function openPage(folder) {
  const page = await openEmptyPage(folder);
  await page.evaluate(async () => {
    const program = await import("/capnweb_interop_web.js");
    await program.default();
    globalThis.program = program;
  });
  return page;
}

/** Opens a browser, without any page. */
export const launch = () => chromium.launch({ executablePath: BROWSER, ...flags });

/** Opens a browser and a page that has loaded nothing, with the files of a folder at its origin. */
export async function openEmptyPage(folder = ".") {
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
  files.unref();
  const browser = await launch();
  browser.on("disconnected", () => files.close());
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${files.address().port}/`);
  return page;
}
