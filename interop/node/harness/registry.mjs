// The list of checks. A module of `checks/` calls `topic("…")` once and registers its checks with
// what that returns; the runner goes through them in the order of registration.

const registered = [];

/**
 * @typedef {object} Conditions
 * @property {("ws"|"batch")[]} [over] the transports that the check makes sense on; WebSocket alone by default
 * @property {string} [notNode] why the reference does not pass it as a server, so that it is not held to it
 * @property {string} [notProxy] why it makes no sense through the proxy
 * @property {string} [notWorker] why a server in Cloudflare's runtime does not pass it
 * @property {boolean} [proxyAnswers] with `notNode`: before a proxy of ours it holds all the same, since the proxy decides
 * @property {string} [leaks] why the reference itself leaves entries in the tables, which are then not looked at
 * @property {{ why: string, fails: RegExp }} [known] a fault of ours by which it fails in this way; once it passes, this has to go
 * @property {number} [seconds] how long it may take
 */

/**
 * @param {string} name
 * @returns {(title: string, conditions: Conditions | ((t: object) => unknown), run?: (t: object) => unknown) => void}
 */
export function topic(name) {
  return (title, conditions, run) => {
    if (run === undefined) [conditions, run] = [{}, conditions];
    registered.push({ name: `${name}: ${title}`, over: ["ws"], seconds: 10, ...conditions, run });
  };
}

export const BOTH = { over: ["ws", "batch"] };

export function checks() {
  return registered;
}
