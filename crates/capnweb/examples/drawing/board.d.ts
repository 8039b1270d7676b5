// Made from Rust traits by capnweb. Changes by hand are overwritten.
import type { RpcTarget } from "capnweb";

/** What a page sees. */
export interface Drawing extends RpcTarget {
  ping(): Promise<void>;
  draw(line: Line): Promise<void>;
  /** The lines from the one with this number on: for pages that cannot be called. */
  since(number: number): Promise<Lines>;
  /**
   * Has each new line passed to a function of the page's, until it lets go of what it gets for it, or
   * is gone.
   */
  watch(onLine: (a: Line) => void | Promise<void>): Promise<Seat>;
}

/** A page's place among those that watch. */
export interface Seat extends RpcTarget {
  number(): Promise<number | bigint>;
}

/** A straight piece of what somebody draws, in parts of the canvas: 0 to 1. */
export interface Line {
  color: string;
  from: [number, number];
  to: [number, number];
}

export interface Lines {
  lines: Line[];
  /** The number of the line to come next. */
  next: number;
  /** How many pages watch. */
  people: number;
}
