// A Firefox with a fresh profile, by the same calls as `launch.mjs`. (Playwright speaks only to a Firefox of its own.)

import puppeteer from "puppeteer-core";

export function launch(executablePath) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    extraPrefsFirefox: {
      // What a browser does by itself on the network has no place here.
      "app.normandy.enabled": false,
      "browser.safebrowsing.downloads.remote.enabled": false,
      "captivedetect.canonicalURL": "",
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      "toolkit.telemetry.enabled": false,
    },
  });
}
