// Made from Rust traits by capnweb. Changes by hand are overwritten.
import type { RpcTarget } from "capnweb";

export interface PublicApi extends RpcTarget {
  /**
   * Returns the API of the user with this token.
   *
   * @throws {LoginError} `unknown_token`: Nobody has this token.
   */
  authenticate(token: string): Promise<UserApi>;
}

export interface UserApi extends RpcTarget {
  profile(): Promise<Profile>;
  /** Calls `on_message` for each message, until the page drops the result. */
  listen(onMessage: (a: string) => void | Promise<void>): Promise<void>;
}

export interface Profile {
  name: string;
  photoUrl?: string | null;
}

export type LoginError =
  /** Nobody has this token. */
  | (Error & { code: "unknown_token" });
