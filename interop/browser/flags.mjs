/** The settings of a Chromium that leaves the network and the user's profile alone. */
export const flags = {
  // Without a folder named, the profile is a fresh one and goes with the browser.
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};
