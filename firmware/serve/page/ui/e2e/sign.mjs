// The pages of sign-in as a thumb, a keyboard and a screen reader meet them: nothing scrolls
// sideways at 320 px, targets are 44 px, axe finds nothing, the language holds; a person signs
// in by the keyboard alone, and without any script.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { accounts, box, check, open, password, run, shot } from "./lib.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

await run(async (browser) => {
  const wrong = [];
  for (const lang of ["zh", "en"]) for (const theme of ["light", "dark"]) for (const as of [undefined, "owner"]) {
    const page = await open(browser, { lang, theme, width: 320, as });
    for (const path of ["sign-in", "setup", "account", "certificate"]) {
      const at = `${path}-${lang}-${theme}-${as ?? "nobody"}`;
      await page.goto(`${box}/${path}?lang=${lang}`);
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
      const m = await page.evaluate(() => ({
        small: [...document.querySelectorAll("a, button, input:not([type=hidden]), summary")].map((e) => ({ r: e.getBoundingClientRect(), h: e.outerHTML.slice(0, 100) })).filter(({ r }) => r.width && (r.width < 43.5 || r.height < 43.5)).map(({ r, h }) => `${Math.round(r.width)}×${Math.round(r.height)} ${h}`),
        wide: document.documentElement.scrollWidth, text: document.body.innerText,
      }));
      wrong.push(...m.small.map((s) => `${at}: ${s}`));
      if (m.wide > 320) wrong.push(`${at}: ${m.wide} px wide`);
      if (lang === "en" && /\p{Script=Han}/u.test(m.text.replaceAll("中文", ""))) wrong.push(`${at}: Chinese`);
      await page.evaluate(axe);
      const r = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] }));
      for (const v of r.violations) for (const n of v.nodes) wrong.push(`${at}: ${v.id} ${n.html.slice(0, 120)}`);
      await shot(page, `sign-${at}`);
    }
    wrong.push(...page.foreign, ...page.wrong);
    await page.context().close();
  }
  check(wrong.length === 0, [...new Set(wrong)].slice(0, 30).join("\n"));

  const plain = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 640 }, locale: "zh-CN" });
  const page = await plain.newPage();
  await page.goto(`${box}/sign-in?to=/account`);
  await page.locator('input[name="account"]').focus();
  await page.keyboard.type(accounts.cadre);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${box}/account`);
  check((await page.locator("dl").innerText()).includes(accounts.cadre), "not signed in by the keyboard");
  await page.getByRole("button", { name: "退出登录" }).click();
  await page.getByText("已退出登录").waitFor();
  await plain.close();
});
