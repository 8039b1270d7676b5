// Checks the page that `docs/typescript.md` shows, by TypeScript and Vite, and with `--bin` in Chromium as well:
//
//     node run.mjs [--bin ../../target/debug/capnweb-interop] [--browser /usr/bin/chromium]

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const BUILT = join(HERE, "node_modules", ".built");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

const { values: options } = parseArgs({
  options: { bin: { type: "string" }, browser: { type: "string", default: "/usr/bin/chromium" } },
});

let passed = 0;
let failed = 0;

async function check(title, run) {
  try {
    await run();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${title}\n${error.stdout || error.stack || error}`);
  }
}

function tool(name, ...parameters) {
  return promisify(execFile)(process.execPath, [join(HERE, "node_modules", name), ...parameters], {
    cwd: HERE,
    timeout: 60_000,
  });
}

for (const file of ["src/App.tsx", "src/api.d.ts", "vite.config.ts"]) {
  await check(`the book shows ${file}`, async () => {
    const book = await readFile(join(HERE, "../../docs/typescript.md"), "utf8");
    const text = await readFile(join(HERE, file), "utf8");
    if (!book.includes(`\`\`\`${extname(file) === ".tsx" ? "tsx" : "ts"}\n${text}\`\`\`\n`)) throw new Error("it shows another one");
  });
}
await check("TypeScript takes it", () => tool("typescript/bin/tsc", "-p", "."));
await check("Vite builds it", async () => {
  await rm(BUILT, { recursive: true, force: true });
  await tool("vite/bin/vite.js", "build", "--outDir", BUILT, "--logLevel", "warn");
});
if (options.bin) await inBrowser();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function inBrowser() {
  const server = spawn(options.bin, ["page", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  const files = createServer(serve);
  let browser;
  try {
    const [line] = await once(server.stdout, "data", { signal: AbortSignal.timeout(10_000) });
    const [host, port] = JSON.parse(line.toString()).addr.split(":");
    // As Vite's proxy does: what goes to `/api` goes to the Rust server.
    files.on("upgrade", (request, socket, head) => {
      const lines = [`GET ${request.url} HTTP/1.1`];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
      }
      const peer = connect(Number(port), host, () => {
        peer.write(`${lines.join("\r\n")}\r\n\r\n`);
        peer.write(head);
        peer.pipe(socket).pipe(peer);
      });
      peer.on("error", () => socket.destroy());
      socket.on("error", () => peer.destroy());
    });
    files.listen(0, "127.0.0.1");
    await once(files, "listening");
    const { launch } = await import("../browser/launch.mjs");
    browser = await launch(options.browser);
    const page = await browser.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.stack));
    await page.goto(`http://127.0.0.1:${files.address().port}/`);
    await check("the page shows the profile", () => page.waitForSelector("h1:text-is('Ada')", { timeout: 10_000 }));
    await check("the page shows messages", async () => {
      await page.waitForSelector("li:text-is('Anybody there?')", { timeout: 10_000 });
      const items = await page.locator("li").allTextContents();
      if (items.join() !== "Hello!,Anybody there?") throw new Error(items.join());
    });
    await check("the page says that the connection is lost", async () => {
      server.kill("SIGKILL");
      await page.waitForSelector("[role=alert]", { timeout: 10_000 });
    });
    await check("the page runs without an error", () => {
      if (errors.length > 0) throw new Error(errors.join("\n"));
    });
  } catch (error) {
    await check("the browser runs through", () => Promise.reject(error));
  } finally {
    await browser?.close();
    files.close();
    server.kill();
  }
}

async function serve(request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  const path = join(BUILT, pathname === "/" ? "index.html" : pathname);
  try {
    const content = await readFile(path);
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(content);
  } catch {
    response.writeHead(404).end();
  }
}
