// The page of `capnweb inspect`, live and from a recording.
//
//     node inspector.mjs --bin ../../target/debug/capnweb-interop --capnweb ../../target/debug/capnweb
//         [--browser /usr/bin/chromium] [--picture ../../docs/images/inspector.png]

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, createServer } from "node:net";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { launch } from "./launch.mjs";

const { values: options } = parseArgs({
  options: {
    bin: { type: "string" },
    capnweb: { type: "string" },
    browser: { type: "string", default: "/usr/bin/chromium" },
    picture: { type: "string" },
  },
});

const children = [];
function start(program, args, stdio) {
  const child = spawn(program, args, { stdio });
  children.push(child);
  return child;
}
/** Returns a function that waits for the next line. */
function lines(stream) {
  const all = createInterface({ input: stream })[Symbol.asyncIterator]();
  return async () => {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no line comes")), 30_000).unref());
    return (await Promise.race([all.next(), late])).value;
  };
}

/**
 * Passes connections on to a server, each byte `delay` ms late. Returns the address.
 *
 * A call counts as one that waited for an answer if it follows within the time that the answer took. Over a long way, this
 * is so on a busy machine too.
 */
async function distant(address, delay) {
  const [host, port] = address.split(":");
  const relay = createServer((near) => {
    const far = createConnection({ host, port: Number(port) });
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on("data", (bytes) => setTimeout(() => to.write(bytes), delay));
      from.on("end", () => setTimeout(() => to.end(), delay));
      from.on("error", () => to.destroy());
    }
  });
  relay.unref().listen(0, "127.0.0.1");
  await once(relay, "listening");
  return `127.0.0.1:${relay.address().port}`;
}

const folder = mkdtempSync(join(tmpdir(), "capnweb-inspector-"));
const recording = join(folder, "session.jsonl");
const browser = await launch(options.browser);
let passed = 0;
let failed = 0;
async function check(title, run) {
  try {
    await run();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.error(`FAILED  inspector: ${title}\n${String(error.stack).replace(/^/gm, "    ")}`);
  }
}

try {
  const server = start(options.bin, ["serve", "--listen", "127.0.0.1:0"], ["ignore", "pipe", "inherit"]);
  const { addr } = JSON.parse(await lines(server.stdout)());
  const inspector = start(
    options.capnweb,
    ["inspect", "--listen", "127.0.0.1:0", "--to", `ws://${await distant(addr, 250)}/`, "--web", "127.0.0.1:0", "--record", recording, "--quiet"],
    ["ignore", "ignore", "pipe"],
  );
  const told = lines(inspector.stderr);
  const proxy = /ws:\/\/[^/]+\//.exec(await told())[0];
  const url = /http:\/\/\S+/.exec(await told())[0];

  const page = await browser.newPage({ viewport: { width: 1280, height: 560 } });
  page.on("pageerror", (error) => check("the page runs", () => Promise.reject(error)));
  page.on("console", (message) => {
    if (message.type() === "error") check("the page has no complaints", () => Promise.reject(new Error(message.text())));
  });
  await page.goto(url);
  const sees = (text) => page.getByText(text, { exact: false }).first().waitFor({ timeout: 20_000 });
  const names = () => page.locator(".name").allTextContents();

  await check("without a session it says what to do", () => sees("No session yet"));
  const repl = start(options.capnweb, ["repl", proxy, "--no-history"], ["pipe", "pipe", "inherit"]);
  const answer = lines(repl.stdout);
  const ask = (expression) => {
    repl.stdin.write(`${expression}\n`);
    return answer();
  };
  await ask("let counter = await makeCounter(3); let sum = await counter.increment(4); [counter.increment(sum), square(sum)]");
  await ask("let session = self(); [session.add(40, 2), session.list(4).map(n => [n, session.square(n)])]");
  await ask("callBack(x => [x, 'back'], 7)");

  await check("calls are shown as they happen, under what they depend on", async () => {
    await sees("(callback)(7)");
    const shown = await names();
    const at = (text) => shown.findIndex((name) => name.includes(text));
    assert.ok(at("makeCounter(3)") >= 0, shown.join("\n"));
    assert.match(shown[at("makeCounter(3)") + 1], /└ increment\(4\)/);
    assert.match(shown[at("(callback)(7)")], /└ server: /);
  });
  await check("a round trip ends with a line, and an await that was not needed has a mark", async () => {
    assert.ok((await page.locator(".trip").count()) >= 3);
    const flagged = page.locator(".row", { has: page.locator(".flag") }).first();
    assert.match(await flagged.locator(".name").textContent(), /increment\(4\)/);
    await flagged.click();
    await sees("awaiting call 1 cost a round trip: call this on its promise");
  });
  await check("labels of round trips have room, and leave none out", async () => {
    for (const width of [640, 760, 1280]) {
      await page.setViewportSize({ width, height: 560 });
      await page.locator(".trip").first().waitFor();
      const count = await page.locator(".trip").count();
      const labels = await page.locator(".trip span").evaluateAll((labels) =>
        labels.map((label) => ({ text: label.textContent, ...label.getBoundingClientRect().toJSON() })),
      );
      for (const [at, { text, left }] of labels.slice(1).entries()) {
        assert.ok(labels[at].right <= left, `${labels[at].text} reaches into ${text} at ${width} pixels`);
      }
      const numbers = labels.flatMap(({ text }) => {
        const [from, to = from] = text.split("–").map(Number);
        return Array.from({ length: to - from + 1 }, (_, at) => from + at);
      });
      assert.deepEqual(numbers, Array.from({ length: count }, (_, at) => at + 1));
    }
  });
  await check("bars lie in the order of the calls", async () => {
    const boxes = await page.locator(".row .bar").evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().left));
    assert.ok(boxes.length > 5 && boxes[0] < boxes[1], boxes.join(", "));
  });
  await check("it shows what is held, by origin", () => sees("a stub in the result of call 1, makeCounter(3)"));
  if (options.picture) await page.screenshot({ path: options.picture });

  repl.stdin.end();
  await once(repl, "exit");
  await check("the end of a session is shown", () => sees("the client closed with"));
  await check("a session that ended in good order leaves nothing", async () => {
    await sees("The client holds of the server: 0");
    assert.equal(await page.getByText("Leaks").count(), 0);
  });
  await check("a failed call is red", async () => {
    const failing = start(options.capnweb, ["call", proxy, "fail('too far')"], ["ignore", "ignore", "ignore"]);
    await once(failing, "exit");
    await page.locator(".bar.failed").first().waitFor({ timeout: 20_000 });
  });
  await check("text of peers is only text", async () => {
    const evil = start(options.capnweb, ["call", proxy, "echo('<img src=x onerror=document.title=1>')"], ["ignore", "ignore", "ignore"]);
    await once(evil, "exit");
    await sees("<img src=x");
    assert.equal(await page.locator("main img").count(), 0);
  });
  await check("the page as a file shows the recording", async () => {
    const reading = start(options.capnweb, ["inspect", recording, "--html"], ["ignore", "pipe", "inherit"]);
    let html = "";
    for await (const text of reading.stdout) html += text;
    const file = join(folder, "page.html");
    writeFileSync(file, html);
    assert.ok(readFileSync(recording, "utf8").includes("makeCounter"));
    await page.goto(pathToFileURL(file).href);
    await page.locator("#sessions").selectOption("1");
    await sees("makeCounter(3)");
    await sees("a recording");
  });
} catch (error) {
  await check("the inspector runs", () => Promise.reject(error));
} finally {
  await browser.close();
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
