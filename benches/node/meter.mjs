// Counts what a case does between two lines of output, by which the measuring program samples the processes.

import { writeSync } from "node:fs";

/** Written at once, since the moment is the message. */
export const say = (line) => writeSync(1, `${line}\n`);

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** How long what is under way may take to end, in seconds. */
const GRACE = 30;

export class Meter {
  /** What the case has done so far, in its own unit. */
  units = 0;
  /** Loops end, streams close. */
  over = false;

  #seconds;
  #warmUp;

  constructor(seconds, warmUp) {
    this.#seconds = seconds;
    this.#warmUp = warmUp;
  }

  /** Measures `work`, which goes on until the meter is `over`. Its errors are the measurement's. */
  async measure(work) {
    const working = work();
    const early = working.then(() => {
      throw new Error("the case ended before its time");
    });
    await sleep(this.#warmUp);
    const result = await Promise.race([early, this.clock()]);
    this.over = true;
    const late = sleep(GRACE).then(() => {
      throw new Error("the case does not end");
    });
    await Promise.race([working, late]);
    return result;
  }

  /** Says when the time starts and stops, and what was done between. */
  async clock() {
    const [start, before] = [performance.now(), this.units];
    say("start");
    await sleep(this.#seconds);
    const seconds = (performance.now() - start) / 1000;
    say("stop");
    return { units: this.units - before, seconds };
  }
}
