// A search of a line: it is said to be busy, can be given up, finds what hangs there with its
// registers in every order, and a find goes into the form of a device.
import { check, open, run, shot, view } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, { as: "technician" });
  await view(page, "scanner");
  await page.waitForFunction(() => document.querySelector("main select")?.options.length > 0);
  await page.selectOption("main select", "field");
  await page.getByLabel("站号").fill("100-247");
  await page.click('[data-act="scan"]');
  await page.click('[data-act="abort"]');
  await page.waitForSelector("[data-ended]");
  check((await page.textContent("[data-ended]")).includes("中止"), "it was not given up");
  await page.getByLabel("站号").fill("1-6");
  await page.getByRole("switch", { name: /也问已有的设备/ }).check({ force: true });
  // The line may take a moment to be polled again.
  for (let i = 0; ; i++) {
    await page.click('[data-act="scan"]');
    await page.waitForSelector("[data-found], .problem", { timeout: 40000 });
    if (await page.locator("[data-found]").count() || i > 5) break;
    await page.waitForTimeout(1000);
  }
  await page.waitForSelector("[data-ended]", { timeout: 60000 });
  check(await page.locator("[data-found]").count() >= 2, "too few units were found");
  await page.locator("[data-found] details summary").first().click();
  check(await page.locator(".orders .button").count() >= 2, "no registers");
  await shot(page, "scanner-found");
  await page.locator(".orders .button").first().click();
  await page.waitForSelector("dialog[open] pre");
  await page.keyboard.press("Escape");
  await page.locator("[data-found] .row .button:has-text('加为设备')").first().click();
  await page.waitForFunction(() => location.hash.startsWith("#/devices?"));
  await page.waitForFunction(() => [...document.querySelectorAll("main input")].some((i) => /^\d+$/.test(i.value)), null, { timeout: 10000 });
  check(page.wrong.length === 0 && page.foreign.length === 0, page.wrong.concat(page.foreign).join("\n"));
});
