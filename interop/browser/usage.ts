// What the types of the module promise to TypeScript; checked, not run.

import { RpcSession, type RpcStub, RpcTarget } from "capnweb";
import { newWebTransportRpcSession, WebTransportTransport } from "./capnweb-webtransport.js";

interface Api extends RpcTarget {
  square(n: number): number;
}

const api: RpcStub<Api> = newWebTransportRpcSession<Api>("https://127.0.0.1:4433/api", {
  serverCertificateHashes: ["0a:0b", { algorithm: "sha-256", value: new Uint8Array(32) }],
  congestionControl: "low-latency",
});
export const nine: Promise<number> = api.square(3);

class Local extends RpcTarget {}
const transport = new WebTransportTransport(new URL("https://127.0.0.1/"), {}, { maxMessageSize: 1000 });
export const session = new RpcSession(transport, new Local(), { limits: { maxDepth: 10 } });

// @ts-expect-error: a hash is no number
newWebTransportRpcSession("https://127.0.0.1/", { serverCertificateHashes: [7] });
