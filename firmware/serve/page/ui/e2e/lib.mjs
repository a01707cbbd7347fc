// What every flow uses: a browser at the box that the test started (BOX), its accounts, and the
// world outside it (BENCH). A flow is a file here that calls run(); it fails by throwing.
// SHOTS=folder keeps pictures.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const box = process.env.BOX, password = process.env.PASSWORD;
/** Accounts of each role. */
export const accounts = { cadre: "gan", operator: "zhi", technician: "ji", owner: process.env.OWNER };

const pages = [];

export function check(ok, what) {
  if (!ok) throw new Error(what);
}

/** Acts on the world: bench("river", 6.4), in the gauge's own terms. */
export async function bench(what, v) {
  const r = await fetch(`${process.env.BENCH}/${what}?v=${v}`, { method: "POST" });
  check(r.ok, `bench ${what}: ${r.status}`);
}

/** Runs a flow with a browser; the process ends with 0 where it does. */
export async function run(flow) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"] });
  try {
    await flow(browser);
  } catch (e) {
    // What the pages said themselves, and how the last one looks, tell more than the line that failed.
    for (const p of pages) if (p.wrong.length) console.error(p.wrong.join("\n"));
    const last = pages[pages.length - 1];
    if (last) { console.error(last.url(), (await last.locator("main").innerText({ timeout: 1000 }).catch(() => "")).slice(0, 1500)); await shot(last, "failed-" + process.argv[1].split("/").pop()).catch(() => {}); }
    throw e;
  } finally {
    await browser.close();
  }
}

/** A page of a reader: {lang, theme, width, as: role or nobody}. Collects what it asked for and what went wrong. */
export async function open(browser, { lang = "zh", theme = "light", width = 390, height = 844, as } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale: lang === "zh" ? "zh-CN" : "en-GB", timezoneId: "Asia/Shanghai", colorScheme: theme === "dark" ? "dark" : "light", reducedMotion: "reduce" });
  await context.addInitScript(([l, t]) => { localStorage.setItem("tocsin.lang", l); localStorage.setItem("tocsin.theme", t); }, [lang, theme]);
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  pages.push(page);
  page.foreign = [];
  page.wrong = [];
  const open = new Set(); // what was asked for and has not come; the stream of events never ends
  page.asked = () => open.size;
  page.on("request", (r) => { if (!r.url().includes("/api/v1/events")) open.add(r); });
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (r) => open.delete(r));
  page.on("request", (r) => { if (!r.url().startsWith(box) && !/^(data|blob|about):/.test(r.url())) page.foreign.push(r.url()); });
  page.on("response", async (r) => { if (r.status() >= 500 && r.status() !== 503) page.wrong.push(`${r.request().method()} ${r.url()} ${r.request().postData()?.length ?? 0} ${(r.request().postData() ?? "").slice(0, 80)} ${(await r.text().catch(() => "")).slice(0, 300)}`); });
  page.on("pageerror", (e) => page.wrong.push(String(e)));
  page.on("console", (m) => { if (m.type() === "error" && !/status of (401|403|404|409|422|503)/.test(m.text())) page.wrong.push(m.text()); });
  if (as) await signIn(page, as);
  return page;
}

/** Signs a role's account in, as a person does. */
export async function signIn(page, role) {
  if (process.env.CONSOLE === "county") { // its sign-in is a view of the console
    await page.goto(`${box}/console/`);
    await page.fill('input[name="account"]', accounts[role]);
    await page.fill('input[name="password"]', password);
    await page.locator("form button").first().click();
    await page.locator("nav.bar").waitFor({ state: "attached" });
    return;
  }
  await page.goto(`${box}/sign-in?to=/console/`);
  await page.fill('input[name="account"]', accounts[role]);
  await page.fill('input[name="password"]', password);
  await Promise.all([page.waitForURL(/\/console\//), page.click('form[action^="/sign-in"] button, form button[type="submit"], form button:not([type])')]);
}

/** Opens a view and waits until it is there. */
export async function view(page, route) {
  const here = page.url().startsWith(`${box}/console/`);
  if (here) await page.evaluate((r) => { location.hash = "#/" + r; }, route);
  else await page.goto(`${box}/console/#/${route}`);
  await page.waitForFunction(() => document.querySelector("main h1") && !document.querySelector("main [data-loading]"));
}

/** Waits until a view has what it asked for and has drawn it. */
export async function settled(page, most = 3000) {
  for (const end = Date.now() + most; Date.now() < end;) {
    await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));
    if (!page.asked()) return;
    await new Promise((r) => setTimeout(r, 20));
  }
}

/** Keeps a picture where SHOTS says so. */
export async function shot(page, name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SHOTS, name + ".png"), fullPage: true });
}

/** Keeps a picture for the README where PICTURES says so: as good as fits into 60 kB. */
export async function picture(page, name) {
  if (!process.env.PICTURES) return;
  const most = 60000;
  mkdirSync(process.env.PICTURES, { recursive: true });
  await settled(page);
  const cdp = await page.context().newCDPSession(page);
  for (let quality = 82; ; quality -= 8) {
    const b = Buffer.from((await cdp.send("Page.captureScreenshot", { format: "webp", quality })).data, "base64");
    if (b.length > most && quality > 30) continue;
    check(b.length <= most && b.length > 4000, `${name} has ${b.length} bytes`);
    writeFileSync(join(process.env.PICTURES, name + ".webp"), b);
    break;
  }
  check(page.wrong.length === 0 && page.foreign.length === 0, `${name}: ${page.wrong.concat(page.foreign).join("\n")}`);
}
