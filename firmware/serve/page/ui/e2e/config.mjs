// The configuration: a mistake is shown with its line, a change is tried and comes back by itself
// where nobody confirms, another one is confirmed and undone, and hostile files do nothing.
import { writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { box, check, open, run, shot, view } from "./lib.mjs";

const kept = async (page) => page.evaluate(async () => (await (await fetch("/api/v1/config/revisions/0")).json()));
const draft = async (page, from, to) => {
  const text = await page.inputValue("textarea");
  check(text.includes(from), `no “${from}” in the document`);
  await page.fill("textarea", text.replace(from, to));
};

await run(async (browser) => {
  const page = await open(browser, { as: "technician" });
  await view(page, "config");
  await page.waitForSelector("textarea");
  const before = await kept(page);

  // A mistake.
  await draft(page, "prepare: 45 mm", "prepaer: 45 mm");
  await page.waitForSelector('[data-problems]:not([data-problems="0"]) .button', { timeout: 15000 });
  check(await page.isDisabled('[data-act="apply"]'), "a document with a mistake could be applied");
  await shot(page, "config-mistake");
  await draft(page, "prepaer: 45 mm", "prepare: 44.5 mm");

  // The draft outlives the tab's reload.
  await page.waitForTimeout(50);
  await page.reload();
  await page.waitForFunction(() => document.querySelector("textarea")?.value.includes("44.5 mm"));

  // Tried, and nobody confirms: the time is shortened by the API's own words, not by the page.
  await page.getByLabel("为什么改").fill("阈值试改");
  await page.waitForSelector('[data-act="apply"]:not([disabled])', { timeout: 15000 });
  await shot(page, "config-diff");
  await page.route("**/api/v1/config", async (route) => {
    const b = JSON.parse(route.request().postData());
    check(b.within_ns >= 90e9 && b.within_ns <= 300e9, `a trial of ${b.within_ns / 1e9} s`);
    await route.continue({ postData: JSON.stringify({ ...b, within_ns: 8e9 }) });
  });
  await page.click('[data-act="apply"]');
  await page.waitForSelector(".trial", { timeout: 10000 });
  check((await kept(page)).document.includes("44.5 mm"), "it is not tried");
  await view(page, "live");
  check(await page.isVisible(".trial"), "another view does not say that a revision is on trial");
  await shot(page, "config-trial");
  await page.waitForFunction(() => !document.querySelector(".trial"), null, { timeout: 25000 });
  const after = await kept(page);
  check(after.document === before.document && after.number > before.number, "it did not come back by itself");

  // Confirmed from this tab; then the earlier text comes back as a revision of its own.
  await page.unroute("**/api/v1/config");
  await view(page, "config");
  await page.waitForSelector("textarea");
  await draft(page, "prepare: 45 mm", "prepare: 43 mm");
  await page.getByLabel("为什么改").fill("阈值");
  await page.waitForSelector('[data-act="apply"]:not([disabled])', { timeout: 15000 });
  await page.click('[data-act="apply"]');
  await page.click(".trial .main");
  await page.waitForFunction(() => !document.querySelector(".trial"), null, { timeout: 10000 });
  check((await kept(page)).document.includes("43 mm"), "what was confirmed is not in force");
  await page.getByRole("radio", { name: "历史" }).check({ force: true });
  await page.locator("main li.card", { hasText: `第 ${before.number} 版` }).getByRole("button").first().click();
  await page.waitForSelector("dialog[open] .diff");
  await shot(page, "config-again");
  await page.click("dialog[open] .main");
  await page.click(".trial .main");
  await page.waitForFunction(() => !document.querySelector(".trial"), null, { timeout: 10000 });
  check((await kept(page)).document === before.document, "the earlier revision did not come back");

  // What is the county's is marked, and changes only for a while.
  await page.getByRole("radio", { name: "草稿" }).check({ force: true });
  check((await page.textContent("[data-managed-list]")).includes("县防汛指挥部"), "what the county manages is not marked");
  await draft(page, "languages: [cmn, yue]", "languages: [cmn, yue], soil: dry");
  await page.getByLabel("为什么改").fill("坡面已干");
  await page.waitForSelector("[data-theirs]", { timeout: 15000 });
  await page.getByLabel("临时多久").fill("73");
  check(await page.isDisabled('[data-act="apply"]'), "an override of 73 hours could be applied");
  await page.getByLabel("临时多久").fill("2");
  await page.waitForSelector('[data-act="apply"]:not([disabled])');
  await shot(page, "config-override");
  await page.click('[data-act="apply"]');
  await page.waitForSelector('[data-override="/site/soil"]');
  check((await kept(page)).managed.overrides[0].why === "坡面已干", "the override stands without its reason");
  await page.locator(".trial button:not(.main)").first().click();
  await page.waitForFunction(() => !document.querySelector(".trial"), null, { timeout: 10000 });
  check((await kept(page)).document === before.document, "the override was not taken back");

  // Hostile files: nothing of them is in force, and the box goes on.
  const dir = mkdtempSync(join(tmpdir(), "hostile"));
  for (const [name, text, needs] of [
    ["deep.yaml", "a: " + "[".repeat(200000), "problem"], ["anchor.yaml", "version: 1\na: &x [1]\nb: [*x, *x]\n", "bad"],
    ["large.yaml", "# " + "x".repeat(1100000), "problem"], ["script.yaml", "version: 1\nsite: {id: \"441882103201\", name: {zh: \"<img src=x onerror=alert(1)>\"}}\nplan: ../../etc/passwd\n", "bad"],
  ]) {
    const file = join(dir, name);
    writeFileSync(file, text);
    await view(page, "config");
    await page.getByRole("radio", { name: "导出导入" }).check({ force: true });
    await page.setInputFiles('input[type="file"]', file);
    if (needs === "problem") await page.waitForSelector(".problem", { timeout: 15000 });
    else await page.waitForFunction(() => document.querySelector(".problem") || Number(document.querySelector("[data-problems]")?.dataset.problems) > 0, null, { timeout: 15000 });
    check(await page.locator('[data-act="apply"]:not([disabled])').count() === 0, `${name} could be applied`);
    if (name === "script.yaml") await shot(page, "config-hostile");
    const drop = page.locator('[data-act="drop"]');
    if (await drop.count()) await drop.click();
    await page.reload();
    await page.waitForSelector("main h1");
  }
  check((await kept(page)).document === before.document, "a hostile file changed something");
  check((await (await fetch(`${box}/api/v1/status`)).json()).armed, "the box does not keep watch any more");

  // Another box's file: this box stays who it is.
  const other = join(dir, "other.yaml");
  writeFileSync(other, before.document.replace("441882103201", "441882103299").replace("黄渡村", "黄洞村").replace("prepare: 45 mm", "prepare: 41 mm"));
  await view(page, "config");
  await page.getByRole("radio", { name: "导出导入" }).check({ force: true });
  await page.setInputFiles('input[type="file"]', other);
  await page.waitForFunction(() => document.querySelector("textarea")?.value.includes("41 mm"), null, { timeout: 15000 });
  const text = await page.inputValue("textarea");
  check(text.includes("441882103201") && text.includes("黄渡村") && !text.includes("441882103299"), "the clone took the other box's name");
  await page.waitForSelector('[data-act="drop"]');
  await page.click('[data-act="drop"]');
  check(page.wrong.length === 0 && page.foreign.length === 0, page.wrong.concat(page.foreign).join("\n"));
});
