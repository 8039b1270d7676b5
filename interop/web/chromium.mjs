// The checks of `capnweb-interop client`, compiled to WebAssembly, in a page of Chromium:
//
//     node chromium.mjs --module DIR --url http://127.0.0.1:8080 …, as client.mjs
//
// DIR is what wasm-bindgen made for pages. One line of JSON a check; exits with 1 if any failed.

import { openPage } from "./page.mjs";

const words = process.argv.slice(2);
const at = words.indexOf("--module");
if (at < 0) {
  console.error("chromium.mjs: --module names the folder that wasm-bindgen wrote for pages");
  process.exit(2);
}
const [, folder] = words.splice(at, 2);

const page = await openPage(folder);
let passed = false;
try {
  let problem;
  const gone = new Promise((_, reject) => (problem = reject));
  gone.catch(() => {});
  page.on("pageerror", (error) => problem(error));
  page.on("crash", () => problem(new Error("the page crashed")));
  await page.exposeFunction("report", (line) => console.log(line));
  const checking = page.evaluate((args) => globalThis.program.check(args, (line) => void globalThis.report(line)), words);
  passed = await Promise.race([checking, gone]);
} catch (error) {
  console.error(error.stack);
} finally {
  await page.context().browser().close();
}
process.exit(passed ? 0 : 1);
