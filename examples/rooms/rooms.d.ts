// Made from Rust traits by capnweb. Changes by hand are overwritten.
import type { RpcTarget } from "capnweb";

/** The main object of a page's session, on the node that the page is connected to. */
export interface Front extends RpcTarget {
  /** Returns the name of this node. */
  node(): Promise<string>;
  /** Returns the names of all nodes. */
  nodes(): Promise<string[]>;
  /** Returns a room, wherever it lives. */
  room(name: string): Promise<Room>;
  /**
   * Passes new messages of a room to the page's function, until the page disconnects or drops
   * the returned seat.
   */
  watch(room: string, onMessage: (a: Message) => void | Promise<void>): Promise<Seat>;
  /** Returns the switch of a node. */
  switch(node: string): Promise<Switch>;
}

/** A chat room. It lives on one node at a time. */
export interface Room extends RpcTarget {
  /** Adds a message to the log, once for each sender and number. */
  post(sender: string, number: number, text: string): Promise<Message>;
  /** Returns the messages after this position in the log. */
  messages(after: number): Promise<Message[]>;
  /** Returns where the room lives. */
  place(): Promise<Place>;
}

/** A page's subscription to the messages of a room. */
export interface Seat extends RpcTarget {
  /** Returns the room's name. */
  room(): Promise<string>;
}

/** The switch of a node. It lives on the node itself. */
export interface Switch extends RpcTarget {
  /** Returns the number of objects on the node. */
  objects(): Promise<number>;
  /** Stops the node in order: its rooms move first, then its sessions end. */
  stop(): Promise<void>;
  /** Kills the node's process. */
  kill(): Promise<void>;
}

export interface Message {
  /** The position in the log, from 1 on. */
  position: number;
  sender: string;
  number: number;
  text: string;
}

export interface Place {
  node: string;
  /** The number of the activation, which grows when the room moves. */
  epoch: number | bigint;
  /** The length of the log. */
  length: number;
}
