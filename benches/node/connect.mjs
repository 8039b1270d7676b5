// Sessions of a client, as the README of capnweb says to make them.

import { newHttpBatchRpcSession, newMessagePortRpcSession, newWebSocketRpcSession, RpcStub } from "capnweb";
import { WebSocket as NodeWebSocket } from "ws";
import { Service } from "./service.mjs";

/** Bun's own WebSocket is its fastest; on Node that is `ws`, which compresses unless told not to. */
const openWebSocket = globalThis.Bun
  ? (url) => new WebSocket(url)
  : (url) => new NodeWebSocket(url, { perMessageDeflate: false });

const CONNECT = {
  websocket: (address) => newWebSocketRpcSession(openWebSocket(`ws://${address}/`)),
  batch: (address) => newHttpBatchRpcSession(`http://${address}/`),
  "in-process": () => {
    const { port1, port2 } = new MessageChannel();
    newMessagePortRpcSession(port1, new Service());
    return newMessagePortRpcSession(port2);
  },
  /** A call without a session: a stub of an object that lives here. */
  local: () => new RpcStub(new Service()),
};

export const OVER = Object.keys(CONNECT);

/** The main stub of a new session. */
export const connect = (over, address) => CONNECT[over](address);
