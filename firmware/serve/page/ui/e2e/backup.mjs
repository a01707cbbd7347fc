// A backup is the site's document to the byte; a hostile file does nothing, another box's file is
// compared and may leave out who this box is, and the backup restores what was changed since.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { box, check, open, run, shot, view } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, { as: "technician" });
  const kept = async () => (await page.request.get(`${box}/api/v1/config/revisions/0`)).json();
  const dir = mkdtempSync(join(tmpdir(), "backup"));
  const file = (name, text) => { writeFileSync(join(dir, name), text); return join(dir, name); };
  const pick = (f) => page.setInputFiles('main input[type="file"]', f);
  await view(page, "backup");
  const before = await kept();
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "下载备份文件" }).click()]);
  check(readFileSync(await saved.path(), "utf8") === before.document && /441882103201.*\.yaml$/.test(saved.suggestedFilename()), "the backup is not the document: " + saved.suggestedFilename());

  // Hostile files: what is wrong is said, and there is nothing to press.
  const apply = page.getByRole("button", { name: "试用这份备份" });
  for (const [name, text, says] of [
    ["large.yaml", "# " + "x".repeat(1100000), "超过 1 MiB"], ["deep.yaml", "a: " + "[".repeat(200000), /\p{Script=Han}/u], ["anchors.yaml", "version: 1\na: &x [1]\nb: [*x, *x]\n", "第 2 行读不懂"],
    ["script.yaml", before.document.replace("plan: flash-flood-village", "plan: ../../etc/passwd").replace("黄渡村", "<img src=x onerror=alert(1)>"), "这个文件不能用"],
  ]) {
    page.once("dialog", (d) => { check(false, "a file ran a script: " + d.message()); });
    await pick(file(name, text));
    const told = page.locator('main [role="alert"]').first();
    await told.waitFor();
    await page.waitForFunction(([src, flags]) => [...document.querySelectorAll('main [role="alert"]')].some((e) => new RegExp(src, flags).test(e.innerText)), typeof says === "string" ? [says, ""] : [says.source, says.flags]);
    check(!(await apply.count()), `${name} could be applied`);
    if (name === "script.yaml") await shot(page, "backup-hostile");
    await page.reload();
    await view(page, "backup");
    await page.locator('main input[type="file"]').waitFor({ state: "attached" });
  }
  check((await kept()).sha256 === before.sha256, "a hostile file changed something");

  // Another box's file with this box's name kept: only the threshold is another.
  const other = before.document.replace("441882103201", "441882103299").replace("黄渡村", "黄洞村").replace("prepare: 45 mm", "prepare: 41 mm");
  check(other !== before.document, "nothing to change");
  await page.getByRole("switch", { name: /保留本机的编号/ }).check({ force: true });
  await pick(file("other.yaml", other));
  await page.locator(".diff").waitFor();
  const diff = await page.innerText(".diff");
  check(diff.includes("41 mm") && !diff.includes("441882103299") && !diff.includes("黄洞村"), "the comparison: " + diff);
  await page.getByLabel("为什么恢复").fill("搬来邻村的阈值");
  await shot(page, "backup-compared");
  await apply.click();
  await page.locator(".card.trial .main").click();
  await page.locator(".card.trial").waitFor({ state: "detached" });
  const moved = await kept();
  check(moved.document.includes("41 mm") && moved.document.includes("441882103201"), "it was not taken over: " + moved.document.slice(0, 400));

  // The backup brings back what was, to the byte where nothing of this box is to stay.
  for (const name of [/保留本机的编号/, /保留本机的网络/]) await page.getByRole("switch", { name }).uncheck({ force: true });
  await pick(await saved.path().then((p) => file("backup.yaml", readFileSync(p, "utf8"))));
  await page.locator(".diff").waitFor();
  await page.getByLabel("为什么恢复").fill("恢复原阈值");
  await apply.click();
  await page.locator(".card.trial .main").click();
  await page.locator(".card.trial").waitFor({ state: "detached" });
  const again = (await kept()).document;
  check(again === before.document, "the backup did not restore: " + again.split("\n").filter((l) => !before.document.includes(l)).join("\n"));
  const [bundle] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "下载诊断包" }).click()]);
  check(readFileSync(await bundle.path()).subarray(0, 2).equals(Buffer.from([0x1f, 0x8b])), "the support bundle is no archive");
  check(page.wrong.length === 0 && page.foreign.length === 0, page.wrong.concat(page.foreign).join("\n"));
});
