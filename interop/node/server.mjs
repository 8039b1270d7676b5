// A capnweb server on Node with the interop main object:
//
//     node server.mjs --listen 127.0.0.1:0
//
// POST is a batch and an upgrade is a WebSocket, on every path; other methods get 405. At /message-pack the
// WebSocket's messages are MessagePack. One line of
// JSON with the address tells that it is ready.

import http from "node:http";
import { parseArgs } from "node:util";
import { nodeHttpBatchRpcResponse, RpcSession } from "capnweb";
import { WebSocketServer } from "ws";
import { Main } from "./main-object.mjs";
import { PACKED_PATH, PackedTransport } from "./harness/packed-transport.mjs";
import { WebSocketTransport } from "./harness/transport.mjs";

const { values: options } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:0" } } });
const [host, port] = options.listen.split(":");

const server = http.createServer((request, response) => {
  const headers = { "Access-Control-Allow-Origin": "*" };
  nodeHttpBatchRpcResponse(request, response, new Main(), { headers }).catch((error) => {
    response.writeHead(500, headers);
    response.end(String(error));
  });
});

new WebSocketServer({ server }).on("connection", (socket, request) => {
  const main = new Main();
  const transport = request.url === PACKED_PATH ? new PackedTransport(socket) : new WebSocketTransport(socket);
  main.attach(new RpcSession(transport, main));
});

server.listen(Number(port), host, () => {
  const { address, port } = server.address();
  console.log(JSON.stringify({ addr: `${address}:${port}` }));
});
