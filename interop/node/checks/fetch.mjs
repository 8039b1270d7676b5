// Blobs, headers, requests and responses.

import assert from "node:assert/strict";
import { BOTH, topic } from "../harness/registry.mjs";
import { streamOf } from "../streams.mjs";

const check = topic("fetch");

/** A result that has a stream in it, in a batch: all of it is in the answer. */
const IN_BATCH = { over: ["batch"], notNode: "the reference cuts streams in an answer off" };

async function plain(blob) {
  assert.ok(blob instanceof Blob);
  return [blob.type, Buffer.from(await blob.arrayBuffer()).toString("latin1")];
}

check("a blob goes there and back", async (t) => {
  for (const [content, type] of [["hello", "text/plain"], ["", ""], ["x".repeat(300_000), "application/x-y"]]) {
    const blob = await t.api.echoBlob(new Blob([content], { type }));
    assert.deepEqual(await plain(blob), [type, content]);
  }
});

for (const [where, conditions] of [["", {}], [" in a batch", IN_BATCH]]) {
  check(`a response is read${where}`, conditions, async (t) => {
    for (const text of ["hello", "", "hé".repeat(100_000)]) {
      const response = await t.ask((api) => api.makeResponse(text));
      assert.ok(response instanceof Response);
      assert.deepEqual([response.status, response.headers.get("x-a")], [201, "b"]);
      assert.equal(await response.text(), text);
    }
  });
}

check("blobs are anywhere in a value", async (t) => {
  const [first, { second }] = await t.api.echo([new Blob(["1"], { type: "a/b" }), { second: new Blob(["2"]) }]);
  assert.deepEqual([await plain(first), await plain(second)], [["a/b", "1"], ["", "2"]]);
});

check("headers come back as they went", BOTH, async (t) => {
  const headers = new Headers([["x-a", "b"], ["set-cookie", "c=d"], ["set-cookie", "e=f"], ["x-latin", "\u00e9"]]);
  const back = await t.ask((api) => api.echo(headers));
  assert.ok(back instanceof Headers);
  assert.deepEqual([...back], [...headers]);
});

check("a request is read", BOTH, async (t) => {
  const url = "https://example.com/a%20b?c=d";
  const read = (init) => t.ask((api) => api.readRequest(new Request(url, init)));
  assert.deepEqual(await read({}), [url, "GET", null, ""]);
  assert.deepEqual(await read({ headers: { "x-a": "b" } }), [url, "GET", "b", ""]);
  assert.deepEqual(await read({ method: "POST", body: "hé", headers: { "x-a": "b" } }), [url, "POST", "b", "hé"]);
  assert.deepEqual(await read({ method: "DELETE", redirect: "manual", cache: "no-store" }), [url, "DELETE", null, ""]);
});

// The reference does not wait for a long body before it sends a batch.
check("a request's body streams", async (t) => {
  const body = streamOf(100, () => new Uint8Array(10_000).fill(120));
  const request = new Request("https://example.com/", { method: "PUT", body, duplex: "half" });
  const [, method, , text] = await t.api.readRequest(request);
  assert.equal(method, "PUT");
  assert.equal(text, "x".repeat(1_000_000));
});

check("a request whose body fails is not read to its end", async (t) => {
  const body = streamOf(3, () => new Uint8Array(10), (controller) => controller.error(new RangeError("no more")));
  const request = new Request("https://example.com/", { method: "PUT", body, duplex: "half" });
  await assert.rejects(Promise.resolve(t.api.readRequest(request)));
  assert.equal(await t.api.square(2), 4);
});

check("a request's URL without a path, and with a fragment", BOTH, async (t) => {
  const [bare] = await t.ask((api) => api.readRequest(new Request("https://example.com")));
  assert.equal(bare, "https://example.com/");
  const [fragment] = await t.ask((api) => api.readRequest(new Request("https://example.com/x#y")));
  assert.equal(fragment.split("#")[0], "https://example.com/x");
});

check("a blob that nobody reads does no harm", async (t) => {
  await t.api.probe.describe({ blob: new Blob(["x".repeat(300_000)]) });
  assert.equal(await t.api.square(2), 4);
});
