// Every view × language × theme × width: axe finds nothing, targets are 44 px, nothing scrolls
// sideways, nobody else is asked, no string is missing, nothing goes wrong. CRAWL=full is all
// combinations; without it each view is seen in each language, theme and width at least once.
// CONSOLE=county walks through the county's, WIDTHS=320,1280 at those alone. Prints one line of JSON with the counts.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { box, check, open, run, settled, shot, view } from "./lib.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const langs = ["zh", "en"], themes = ["light", "sun", "dark"], widths = process.env.WIDTHS ? process.env.WIDTHS.split(",").map(Number) : [320, 390, 1280];
const full = process.env.CRAWL === "full";
const all = langs.flatMap((lang, i) => themes.flatMap((theme, j) => widths.map((width, k) => ({ lang, theme, width, n: (i + j + k) % 3 }))));
const combos = full ? all : all.filter((c) => c.n === 0);

const found = { views: 0, seen: 0, axe: [], small: [], scroll: [], foreign: [], missing: [], wrong: [], chinese: [] };

/** The table of views as the console itself has it: each with the argument that opens a detail. */
async function routes(page) {
  await page.goto(`${box}/console/`);
  return page.evaluate(async () => {
    while (!window.tocsinViews) await new Promise((r) => setTimeout(r, 50));
    return window.tocsinViews;
  });
}

async function look(page, at, { lang, width }) {
  const measured = await page.evaluate(() => {
    const hidden = (e) => !e.checkVisibility({ visibilityProperty: true, opacityProperty: false }) || e.closest(".sr, .skip");
    const small = [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary, audio")]
      .filter((e) => !hidden(e))
      .map((e) => ({ r: (["radio", "checkbox"].includes(e.type) && e.closest("label") || e).getBoundingClientRect(), h: e.outerHTML.slice(0, 140) }))
      .filter(({ r }) => r.width > 0 && (r.width < 43.5 || r.height < 43.5)).map(({ r, h }) => `${Math.round(r.width)}×${Math.round(r.height)} ${h}`);
    const wide = [...document.querySelectorAll("body *")].filter((e) => !hidden(e) && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("svg")).map((e) => e.outerHTML.slice(0, 120));
    return { small, wide, scroll: document.documentElement.scrollWidth, missing: document.documentElement.dataset.missing ?? "", text: document.querySelector("#app").innerText };
  });
  found.small.push(...measured.small.map((s) => `${at}: ${s}`));
  if (measured.scroll > width || measured.wide.length) found.scroll.push(`${at}: ${measured.scroll} ${measured.wide.slice(0, 3).join(" | ")}`);
  if (measured.missing) found.missing.push(`${at}: ${measured.missing}`);
  // What people wrote stays as they wrote it: a platform's name, the reason for a change.
  const rest = measured.text.replaceAll("中文", "").replaceAll("县水利局", "").replaceAll(/unless it is confirmed: .*/g, "");
  if (lang === "en" && /\p{Script=Han}/u.test(rest)) found.chinese.push(`${at}: ${rest.match(/.{0,20}\p{Script=Han}+.{0,20}/u)?.[0]}`);
  const result = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] }));
  for (const v of result.violations) for (const n of v.nodes) found.axe.push(`${at}: ${v.id} ${n.html.slice(0, 160)} ${(n.any[0]?.message ?? "").slice(0, 160)}`);
}

await run(async (browser) => {
  const context = {};
  for (const c of combos) {
    const page = await open(browser, { ...c, as: "owner" });
    const list = (context.list ??= await routes(page));
    if (!page.url().includes("/console/")) await page.goto(`${box}/console/`);
    await page.evaluate(axe);
    for (const v of list) {
      const route = v.detail === undefined ? v.route : `${v.route}/${v.detail}`;
      const at = `${v.route}-${c.lang}-${c.theme}-${c.width}`;
      await view(page, route);
      await settled(page);
      await look(page, at, c);
      await shot(page, at);
      found.seen++;
    }
    await page.evaluate(() => [...document.querySelectorAll("nav.bar button")].at(-1)?.click());
    await look(page, `menu-${c.lang}-${c.theme}-${c.width}`, c);
    await shot(page, `menu-${c.lang}-${c.theme}-${c.width}`);
    found.foreign.push(...page.foreign);
    found.wrong.push(...page.wrong.map((w) => `${c.lang}-${c.theme}-${c.width}: ${w}`));
    found.views = list.length;
    await page.context().close();
  }
});
const counts = Object.fromEntries(Object.entries(found).map(([k, v]) => [k, Array.isArray(v) ? v.length : v]));
console.log(JSON.stringify(counts));
for (const k of ["axe", "small", "scroll", "foreign", "missing", "wrong", "chinese"]) for (const line of [...new Set(found[k])].slice(0, 40)) console.log(`${k}: ${line}`);
if (!process.env.COUNT) check(["axe", "small", "scroll", "foreign", "missing", "wrong", "chinese"].every((k) => found[k].length === 0), "see above");
