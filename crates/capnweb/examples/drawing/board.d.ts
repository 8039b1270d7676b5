// Made from Rust traits by capnweb. Changes by hand are overwritten.
import type { RpcTarget } from "capnweb";

/** The interface for pages. */
export interface Drawing extends RpcTarget {
  ping(): Promise<void>;
  draw(line: Line): Promise<void>;
  /** Returns the lines from number `number` on, for pages that cannot be called back. */
  since(number: number): Promise<Lines>;
  /**
   * Passes each new line to the page's function, until the page disconnects or drops the
   * returned seat.
   */
  watch(onLine: (a: Line) => void | Promise<void>): Promise<Seat>;
}

/** A page's subscription to new lines. */
export interface Seat extends RpcTarget {
  number(): Promise<number | bigint>;
}

/** A straight segment of a drawing. Coordinates range from 0 to 1. */
export interface Line {
  color: string;
  from: [number, number];
  to: [number, number];
}

export interface Lines {
  lines: Line[];
  /** The number of the next line. */
  next: number;
  /** The number of pages that are watching. */
  people: number;
}
