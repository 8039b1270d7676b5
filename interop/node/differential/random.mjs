/** How deep values nest that could nest without end. */
const DEPTH = 4;

/** Random numbers, the same for the same seed and text (mulberry32). */
export class Random {
  #state;
  #depth = 0;

  /** True if the values are for types that serde reads through a buffer of its own. */
  isBuffered;

  constructor(seed, text) {
    this.isBuffered = text.includes("derived::");
    this.#state = (Number(seed) ^ 0x811c9dc5) >>> 0;
    for (const letter of text) this.#state = Math.imul(this.#state ^ letter.codePointAt(0), 0x01000193) >>> 0;
  }

  /** Any 32 bits. */
  bits() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  below(limit) {
    return this.bits() % limit;
  }

  onceIn(n) {
    return this.below(n) === 0;
  }

  pick(items) {
    return items[this.below(items.length)];
  }

  /** Makes the content of a value: `undefined` if it would nest too deep. */
  nested(make) {
    if (this.#depth >= DEPTH) return undefined;
    this.#depth += 1;
    const made = make();
    this.#depth -= 1;
    return made;
  }

  /** Makes up to `most` items. */
  items(most, make) {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  shuffled(items) {
    const rest = [...items];
    const shuffled = [];
    while (rest.length > 0) shuffled.push(...rest.splice(this.below(rest.length), 1));
    return shuffled;
  }
}
