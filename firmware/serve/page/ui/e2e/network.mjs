// The box's own network: a wrong address is refused with its reason, a change shows where the box
// will be before it is made, counts down on trial and goes back by itself where nobody confirms.
import { box, check, open, run, shot, view } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, { as: "technician" });
  const eth0 = async () => (await (await page.request.get(`${box}/api/v1/network`)).json()).interfaces.find((i) => i.name === "eth0");
  await view(page, "network");
  await page.getByText("192.168.1.50/24").waitFor();
  const change = async (address, gateway) => {
    await page.getByRole("button", { name: "修改", exact: true }).click();
    await page.getByRole("radio", { name: "固定地址" }).check({ force: true });
    await page.getByLabel(/^地址(?!方式)/).fill(address);
    await page.getByLabel(/^网关/).fill(gateway);
    await page.getByLabel("为什么改").fill("换到站里的网段");
    await page.getByRole("button", { name: "看新地址" }).click();
    await page.locator("dialog[open]").waitFor();
  };
  await change("192.168.8.20/24", "10.0.0.1");
  check((await page.innerText("dialog[open] .new")).includes("//192.168.8.20"), "the new address is not shown");
  await page.waitForFunction(() => document.querySelector("dialog[open] img.qr")?.naturalWidth > 20);
  await page.locator("dialog[open] .main").click();
  await page.locator("dialog[open] .problem").waitFor();
  check(/网关.*不在/.test(await page.innerText("dialog[open] .problem")), "a gateway elsewhere: " + (await page.innerText("dialog[open] .problem")));
  check(!(await eth0()).set, "a wrong setting is in the document");
  await page.locator("dialog[open] .button:not(.main):not(.quiet)").click();

  await change("192.168.8.20/24", "192.168.8.1");
  await shot(page, "network-sure");
  // The page's own three minutes, as short as the box lets them be.
  await page.route("**/api/v1/network", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const b = JSON.parse(route.request().postData());
    check(b.within_ns >= 90e9 && b.within_ns <= 600e9, `a trial of ${b.within_ns / 1e9} s`);
    await route.continue({ postData: JSON.stringify({ ...b, within_ns: 60e9 }) });
  });
  const began = Date.now();
  await page.locator("dialog[open] .main").click();
  await page.locator(".card.trial").waitFor();
  await page.getByText("192.168.8.20/24").first().waitFor();
  check((await eth0()).held, "the board did not take it");
  const left = () => page.evaluate(async () => (await (await fetch("/api/v1/config/revisions")).json()).find((r) => r.trial)?.trial.left_ns);
  const first = await left(), words = await page.innerText(".card.trial h2");
  await shot(page, "network-trial");
  await page.waitForFunction((w) => document.querySelector(".card.trial h2")?.innerText !== w, words);
  check((await left()) < first, "it does not count down");
  // Another phone cannot confirm what this one began; it is told which one can.
  const other = await open(browser, { as: "owner", lang: "en" });
  await view(other, "network");
  await other.locator(".card.trial").waitFor();
  check(!(await other.locator(".card.trial .main").count()), "another phone could confirm");
  await shot(other, "network-trial-other-en");
  await other.context().close();
  await page.locator(".card.trial").waitFor({ state: "detached", timeout: 75000 });
  await page.getByText("192.168.1.50/24").first().waitFor();
  const took = Date.now() - began;
  check(took > 50000, `it went back after ${took} ms already`);
  check(!(await eth0()).set, "the setting is still in the document");
  check((await (await page.request.get(`${box}/api/v1/journal?limit=200`)).json()).some((r) => r.kind === "config.undone"), "the journal does not say that it went back");
  await page.unroute("**/api/v1/network");

  // Confirmed it stays.
  await change("192.168.8.20/24", "192.168.8.1");
  await page.locator("dialog[open] .main").click();
  await page.locator(".tiles .address", { hasText: "192.168.8.20/24" }).waitFor();
  await page.locator(".card.trial .main").click();
  await page.locator(".card.trial").waitFor({ state: "detached" });
  check((await eth0()).set?.address === "192.168.8.20/24" && (await eth0()).held, "what was confirmed does not hold");
  await shot(page, "network-set");
  check(page.wrong.length === 0 && page.foreign.length === 0, page.wrong.concat(page.foreign).join("\n"));
});
