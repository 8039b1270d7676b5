import { RpcTarget } from "capnweb";

/** What our side of a session offers to the peer as its main object. */
export class ClientMain extends RpcTarget {
  get title() {
    return "a client";
  }

  greet(name) {
    return `hello ${name}`;
  }

  add(a, b) {
    return a + b;
  }

  fail(message) {
    throw new TypeError(message);
  }

  makeTally() {
    let total = 0;
    return (by) => (total += by);
  }
}
