// Old versions of npm capnweb as clients of a server that is told the version:
//
//     node versions.mjs --bin ../../target/debug/capnweb-interop [--only TEXT]
//
// One line of JSON a check; exits with 1 if any failed.

import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket } from "ws";
import { Process, runPrograms } from "./harness/processes.mjs";

const VERSIONS = ["0.5", "0.7", "0.8", "0.10", "0.12"];

// Node 20 has none of its own, which the library looks for.
globalThis.WebSocket ??= WebSocket;

/** Whether `version` is at least `other`. */
function since(version, other) {
  const [[major, minor], [otherMajor, otherMinor]] = [version, other].map((text) => text.split(".").map(Number));
  return major > otherMajor || (major === otherMajor && minor >= otherMinor);
}

/** The bytes of a Blob, or of the stream that stands in for one. */
async function bytes(content) {
  return Buffer.from(await new Response(content).arrayBuffer()).toString();
}

/** What a client of this version sees of values that not every version knows. */
async function check(version) {
  const { addr } = await Process.rust("serve", "--listen", "127.0.0.1:0", "--peer-version", version).line();
  const { newWebSocketRpcSession } = await import(version === "0.12" ? "capnweb" : `capnweb-${version}`);
  const socket = new WebSocket(`ws://${addr}/`, { perMessageDeflate: false });
  await once(socket, "open");
  const api = newWebSocketRpcSession(socket);
  const { url, floats, blob, never } = await api.novelties();

  const knowsUrls = since(version, "0.11");
  assert.equal(typeof url, knowsUrls ? "object" : "string");
  assert.equal(String(url), "https://example.com/a");
  assert.equal(floats instanceof Float32Array, knowsUrls);
  assert.deepEqual([...new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength)], [0, 0, 192, 63]);

  const knowsBlobs = since(version, "0.8");
  assert.equal(blob instanceof Blob, knowsBlobs);
  assert.equal(await bytes(blob), "a blob");
  if (knowsBlobs) assert.ok(never instanceof Date && Number.isNaN(never.getTime()));
  else assert.equal(never, null);

  // The session goes on.
  assert.equal(await api.square(3), 9);
  socket.terminate();
}

await runPrograms(
  "versions",
  Object.fromEntries(VERSIONS.map((version) => [`${version} gets what it knows`, () => check(version)])),
);
