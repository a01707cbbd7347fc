// The rules as sentences; a drawn flood would sound, a small rise would not; a threshold goes
// into the draft and the dry run takes it.
import { box, check, open, run, shot, view } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, { as: "technician" });
  await view(page, "rules");
  await page.waitForSelector(".said");
  const said = await page.textContent("main");
  check(said.includes("当") && said.includes("102.40 m") && said.includes("就“立即转移”"), "no sentence: " + said.slice(0, 400));
  await page.getByRole("radio", { name: "用设想的曲线" }).check({ force: true });
  await page.locator("section:has(#dry) select").first().selectOption("river.level");
  const dry = async (top) => {
    await page.getByLabel("从", { exact: true }).fill("98");
    await page.getByLabel("涨到").fill(top);
    await page.click('[data-act="dry"]');
    await page.waitForFunction(() => document.querySelector("[data-ran]") && !document.querySelector('[data-act="dry"]').disabled, null, { timeout: 60000 });
    return Number(await page.getAttribute("[data-ran]", "data-ran"));
  };
  check(await dry("103") === 2, "a flood would not sound twice: " + (await page.textContent("section:has(#dry)")));
  check((await page.textContent("section:has(#dry)")).includes("村部警报器"), "what would sound is not said");
  await shot(page, "rule-dry");
  check(await dry("101.1") === 0, "a small rise would sound");
  // The threshold of the draft.
  const set = page.locator(".said", { hasText: "101.20" }).first();
  await set.locator("summary").click();
  await set.locator("input").fill("101.00");
  await set.locator("form button").click();
  await page.waitForSelector('a[href="#/config"].main');
  check(await dry("101.1") === 1, "the draft's threshold was not taken");
  // History plays too, and nothing sounded.
  await page.getByRole("radio", { name: "用历史" }).check({ force: true });
  await page.click('[data-act="dry"]');
  await page.waitForFunction(() => document.querySelector("[data-ran]") && !document.querySelector('[data-act="dry"]').disabled, null, { timeout: 60000 });
  check((await (await fetch(`${box}/api/v1/soundings`)).json()).now.length === 0, "a dry run sounded");
  await view(page, "plans");
  await page.waitForSelector(".step");
  check((await page.textContent("main")).includes("立即转移"), "no steps");
  await shot(page, "plans");
  // A step by form: the one draft has it beside the threshold.
  await page.locator('[data-plan="flash-flood-village"] [data-act="edit-prepare"]').click();
  const step = page.locator('[data-step="prepare"]').first();
  await step.getByLabel("响多久").fill("90s");
  await step.getByLabel("加哪段录音").selectOption("notice");
  await step.getByRole("button", { name: "加上" }).click();
  await shot(page, "plans-step");
  await step.locator('[data-act="step"]').click();
  await page.waitForFunction(() => !document.querySelector("[data-step]"), null, { timeout: 15000 });
  await view(page, "config");
  await page.waitForSelector('[data-act="drop"]');
  const text = await page.inputValue("textarea");
  check(text.includes("prepare: 101.00 m"), "the threshold is not in the draft");
  check(text.includes("clips: [prepare, notice]") && text.includes('"on": 90s'), "the forms' edits are not in the draft: " + text.slice(text.indexOf("plans:")));
  await page.click('[data-act="drop"]');
  check(page.wrong.length === 0 && page.foreign.length === 0, page.wrong.concat(page.foreign).join("\n"));
});
