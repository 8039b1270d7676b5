// A client that holds a counter of the server's and is otherwise idle:
//
//     node hold.mjs --url ws://127.0.0.1:8080
//
// It prints a line when it has the counter.

import { parseArgs } from "node:util";
import { RpcSession } from "capnweb";
import { WebSocket, WebSocketTransport } from "./harness/transport.mjs";

const { values: options } = parseArgs({ options: { url: { type: "string" } } });
const socket = new WebSocket(options.url, { perMessageDeflate: false });
const api = new RpcSession(new WebSocketTransport(socket)).getRemoteMain();
const counter = await api.makeCounter(1);
console.log(JSON.stringify({ value: await counter.value }));
setInterval(() => {}, 60_000);
