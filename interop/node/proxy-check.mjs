// Runs the checks between two capnweb peers on Node with `capnweb-interop proxy` between them:
//
//     node proxy-check.mjs --url http://127.0.0.1:8080 [--only TEXT]
//
// Each connection that a check opens gets a server of its own on the far side of the proxy.

import { parseArgs } from "node:util";
import { RpcSession } from "capnweb";
import "./checks/all.mjs";
import "./checks/through-proxy.mjs";
import { runChecks } from "./harness/runner.mjs";
import { WebSocket, WebSocketTransport } from "./harness/transport.mjs";
import { Main } from "./main-object.mjs";

const { values: options } = parseArgs({ options: { url: { type: "string" }, only: { type: "string" } } });
if (!options.url) {
  console.error("proxy-check.mjs: --url of the proxy is missing, such as --url http://127.0.0.1:8080");
  process.exit(2);
}

let pairs = 0;

function pairUrls() {
  const pair = `${process.pid}-${(pairs += 1)}`;
  const side = (name) => {
    const url = new URL(options.url);
    url.protocol = "ws:";
    url.search = new URLSearchParams({ pair, side: name });
    return url.href;
  };
  return { server: side("server"), client: side("client") };
}

const failed = await runChecks({
  peer: "proxy",
  transports: ["ws"],
  only: options.only,
  connector: {
    pairUrls,
    wsUrl() {
      const { server, client } = pairUrls();
      const main = new Main();
      main.attach(new RpcSession(new WebSocketTransport(new WebSocket(server)), main));
      return client;
    },
  },
});
process.exit(failed > 0 ? 1 : 0);
