// A Chromium that leaves the network and the user's profile alone.

import { chromium } from "playwright-core";

export function launch(executablePath) {
  // Without a folder named, the profile is a fresh one and goes with the browser.
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
