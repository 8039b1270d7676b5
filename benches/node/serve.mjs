// The server on Node and on Bun, each as the README of capnweb says to write it.

import http from "node:http";
import * as capnweb from "capnweb";
import { WebSocketServer } from "ws";
import { connect } from "./connect.mjs";
import { Service } from "./service.mjs";

/** Listens on loopback until the process ends. Gives the address that clients take. */
export function serve(upstream) {
  // A proxy hands out what it was handed: calls and objects pass through it unread.
  const server = upstream && connect("websocket", upstream);
  const main = server ? () => server.dup() : () => new Service();
  return globalThis.Bun ? onBun(main) : onNode(main);
}

function onNode(main) {
  const server = http.createServer((request, response) => {
    capnweb.nodeHttpBatchRpcResponse(request, response, main()).catch((error) => {
      response.writeHead(500);
      response.end(String(error));
    });
  });
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
    capnweb.newWebSocketRpcSession(socket, main());
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", 1024, () => resolve(`127.0.0.1:${server.address().port}`));
  });
}

async function onBun(main) {
  const { port } = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
      if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
        return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
      }
      return capnweb.newHttpBatchRpcResponse(request, main());
    },
    websocket: capnweb.newBunWebSocketRpcHandler(main),
  });
  return `127.0.0.1:${port}`;
}
