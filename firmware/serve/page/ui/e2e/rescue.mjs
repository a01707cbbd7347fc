// The box came back with a spoilt site file and runs with its last good one: a technician mends it by
// the rescue page alone, with no script, at 320 px; then the box begins anew as it was.
import { accounts, bench, box, check, password, run, shot } from "./lib.mjs";

await run(async (browser) => {
  await bench("break-file", 1);
  const page = await (await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 640 }, locale: "zh-CN" })).newPage();
  page.setDefaultTimeout(15000);
  await page.goto(`${box}/sign-in?to=/rescue`);
  await page.fill('input[name="account"]', accounts.technician);
  await page.fill('input[name="password"]', password);
  await Promise.all([page.waitForURL(/\/rescue/), page.click("form button:not(.stop)")]);
  check((await page.locator(".bad").innerText()).includes("devcies"), "what is wrong with the file is not said");
  check((await page.locator("pre").textContent()).includes("site file"), "the log does not say it");
  await shot(page, "rescue-broken");
  const form = (action) => page.locator(`form[action^="/rescue/${action}"]`);
  for (const [by, says] of [["other", "不是发布人签的"], ["", "校验通过"]]) {
    const buffer = Buffer.from(await (await fetch(`${process.env.BENCH}/release?n=9&by=${by}`)).arrayBuffer());
    await form("update").locator('input[type="file"]').setInputFiles({ name: "r.tar", mimeType: "application/x-tar", buffer });
    await form("update").locator("button").click();
    await page.locator(".said").first().waitFor();
    check((await page.locator(".said").first().innerText()).includes(says), `a release by “${by}”: ${await page.locator(".said").first().innerText()}`);
  }
  check((await form("activate").locator("button").innerText()).includes("9.0"), "the good release cannot be activated");
  await page.locator("button.stop").click();
  check(!(await page.locator(".said").first().getAttribute("class")).includes("bad"), "STOP: " + (await page.locator(".said").first().innerText()));
  await form("back").locator("button").click();
  await page.locator(".said").first().waitFor();
  for (let n = 0; await page.locator(".said.bad").count(); n++) {
    check(n < 60, "the file is still wrong: " + (await page.locator(".said.bad").allInnerTexts()).join("; "));
    await page.waitForTimeout(250);
    await page.goto(`${box}/rescue?lang=zh`);
  }
  const started = async () => { try { return (await (await fetch(`${box}/api/v1/journal?limit=1000`)).json()).filter((r) => r.kind === "system.started").length; } catch { return 0; } };
  const n = await started();
  await form("restart").locator("button").click();
  await page.locator(".said").first().waitFor();
  for (const end = Date.now() + 20000; (await started()) <= n; await page.waitForTimeout(200)) check(Date.now() < end, "it has not begun anew");
  await page.goto(`${box}/rescue?lang=zh`);
  check(!(await page.locator(".said.bad").count()), "something is wrong after the restart");
});
