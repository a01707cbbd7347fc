// What a phone waits for on a thin line: how much the first view loads, gzipped as it travels, and
// how long until the first value is seen, at 390 px over a link like 3G (1.6 Mbit/s, 300 ms of
// round trip, as WebPageTest's "3G" is), nothing kept from before. Prints one line of JSON.
import { box, check, open, run } from "./lib.mjs";

await run(async (browser) => {
  const loads = [], waits = [];
  for (let i = 0; i < 3; i++) {
    const page = await open(browser, { width: 390, lang: i % 2 ? "en" : "zh" });
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("Network.enable");
    await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
    await cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 300, downloadThroughput: 1.6e6 / 8, uploadThroughput: 768e3 / 8 });
    let bytes = 0;
    const streams = new Set();
    cdp.on("Network.requestWillBeSent", (e) => { if (e.request.url.includes("/api/v1/events")) streams.add(e.requestId); });
    cdp.on("Network.dataReceived", (e) => { if (!streams.has(e.requestId)) bytes += e.encodedDataLength; });
    const began = Date.now();
    await page.goto(`${box}/console/`, { waitUntil: "commit" });
    await page.waitForFunction(() => document.querySelector("main .figure b")?.textContent);
    waits.push((Date.now() - began) / 1000);
    await page.waitForTimeout(700); // what is asked for beside the first value counts too
    loads.push(bytes / 1000);
    await page.context().close();
  }
  const median = (l) => l.sort((a, b) => a - b)[Math.floor(l.length / 2)];
  const figures = { first_load_kb_gz: Math.max(...loads), first_data_s: median(waits), n: waits.length };
  console.log(JSON.stringify(figures));
  if (!process.env.COUNT) {
    check(figures.first_load_kb_gz > 5 && figures.first_load_kb_gz <= 120, "the first load is too large");
    check(figures.first_data_s <= 3, "the first value is late");
  }
});
