import type { RpcCompatible, RpcLimits, RpcSessionOptions, RpcStub, RpcTransport } from "capnweb";

/** Options of `new WebTransport`, with hashes of certificates in hexadecimal too. */
export type ConnectOptions = Omit<WebTransportOptions, "serverCertificateHashes"> & {
  /**
   * Accepts a server whose certificate has one of these SHA-256 hashes, though no authority has signed it:
   * ECDSA on P-256, valid for 14 days at most. A string is hexadecimal, with or without colons.
   */
  serverCertificateHashes?: (string | WebTransportHash)[];
};

/**
 * Opens a session over WebTransport and returns the server's main object.
 *
 * @param target an `https:` URL, or a connection to use
 * @param localMain the object that the server can call
 */
export declare function newWebTransportRpcSession<T extends RpcCompatible<T> = any>(
  target: string | URL | WebTransport,
  connectOptions?: ConnectOptions,
  localMain?: unknown,
  sessionOptions?: RpcSessionOptions,
): RpcStub<T>;

/** The transport alone, for a `RpcSession` of your own. */
export declare class WebTransportTransport implements RpcTransport {
  constructor(target: string | URL | WebTransport, connectOptions?: ConnectOptions, limits?: Partial<RpcLimits>);
  /** Queues a message. Returns a promise only if the message cannot be sent: one that rejects with the reason. */
  send(message: string): void | Promise<void>;
  receive(): Promise<string>;
  abort(reason?: any): void;
}
