// A technician adds a gauge that hangs on the line already: a wrong unit is told as silent, the
// right one gives values before anything is saved, and the draft keeps every comment.
import { check, open, run, shot, view } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, { as: "technician" });
  await view(page, "devices");
  await page.selectOption('section:has(#add) select >> nth=0', "field");
  await page.waitForFunction(() => document.querySelectorAll("section:has(#add) select")[1]?.options.length > 20);
  await page.selectOption('section:has(#add) select >> nth=1', "generic-rain-rs485");
  await page.getByLabel("在文件里的名字").fill("rain-b");
  const unit = page.getByLabel(/站号/);
  await unit.fill("77");
  await page.click('[data-act="test"]');
  await page.waitForSelector('[data-tested="false"]', { timeout: 20000 });
  check((await page.textContent('[data-tested]')).includes("没有应答"), "a silent unit is not told as silent: " + (await page.textContent('[data-tested]')));
  await unit.fill("2");
  await page.click('[data-act="test"]');
  await page.waitForSelector('[data-tested="true"]', { timeout: 20000 });
  check(/\d/.test(await page.textContent('[data-tested] ul')), "no value was shown");
  check(await page.locator('[data-tested] code').count() >= 2, "no frames");
  await shot(page, "device-tested");
  // What was typed outlives a link that breaks.
  await page.context().setOffline(true);
  await page.click('[data-act="put"]');
  await page.waitForSelector(".problem");
  check(await page.getByLabel("在文件里的名字").inputValue() === "rain-b", "typing was lost with the link");
  await page.context().setOffline(false);
  await page.click('[data-act="put"]');
  await page.waitForFunction(() => location.hash === "#/config" && document.querySelector("[data-act=apply]"));
  const text = await page.inputValue("textarea");
  check(/rain-b: \{.*profile: generic-rain-rs485, line: field, unit: \d+\}/.test(text), "the device is not in the draft:\n" + text);
  check(text.split("\n").filter((l) => l.includes("river:")).length === 1, "another line was touched");
  await shot(page, "device-draft");
  await page.click('[data-act="drop"]');
  await page.waitForFunction(() => !document.querySelector("textarea").value.includes("rain-b"));
  const wrong = page.wrong.filter((w) => !w.includes("ERR_INTERNET_DISCONNECTED"));
  check(wrong.length === 0 && page.foreign.length === 0, wrong.concat(page.foreign).join("\n"));
});
