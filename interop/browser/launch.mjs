// A Chromium that leaves the network and the user's profile alone.

import { chromium } from "playwright-core";
import { flags } from "./flags.mjs";

export function launch(executablePath) {
  return chromium.launch({ executablePath, ...flags });
}
