// Node 20 has no global WebSocket, which capnweb asks for its constants.

import { WebSocket } from "ws";

globalThis.WebSocket ??= WebSocket;

export { WebSocketTransport } from "capnweb";
export { WebSocket };
