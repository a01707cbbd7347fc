// A county's first duty: the first account by the hub's secret, an operator and a viewer by its owner; the operator checks a
// file, does not get it out by a wrong password or a short press, sends it, and reads by village who was reached, who sounds
// and of whom nobody knows; looks at a drone's picture; signs out. The page says within 3 s that the hub is out of reach.
import { readFileSync } from "node:fs";
import { bench, box, check, open, password, picture, run, shot, signIn, view, accounts } from "./lib.mjs";

const { SECRET: secret, WARNING: warning, STATION: station } = process.env;
const button = (page, name) => page.getByRole("button", { name });
async function hold(page, name, ms) {
  const b = button(page, name);
  await b.scrollIntoViewIfNeeded();
  const r = await b.boundingBox();
  await page.mouse.move(r.x + r.width / 2, r.y + r.height / 2);
  await page.mouse.down();
  await page.waitForTimeout(ms);
  await page.mouse.up();
}

await run(async (browser) => {
  const owner = await open(browser, { width: 390 });
  await owner.goto(`${box}/console/`);
  await owner.getByRole("heading", { name: "开通控制台" }).waitFor();
  const form = async (s, p) => {
    for (const [k, v] of Object.entries({ secret: s, name: "Zhang", account: accounts.owner, password: p, again: p })) await owner.fill(`input[name="${k}"]`, v);
    await button(owner, "建立管理员账号").click();
  };
  await form("AAAAA-AAAAA", password);
  await owner.getByRole("alert").waitFor();
  check(await owner.locator("nav.bar").count() === 0, "a guess opens the console");
  await shot(owner, "county-set-up");
  await form(secret, password);
  await owner.locator("nav.bar").waitFor();
  await view(owner, "accounts");
  for (const [account, role] of [["wang", "operator"], ["li", "viewer"]]) {
    await button(owner, "添加账号").first().click();
    const d = owner.locator("dialog[open]");
    await d.getByLabel("姓名").fill(account[0].toUpperCase() + account.slice(1));
    await d.getByRole("textbox", { name: /^账号/ }).fill(account);
    await d.getByLabel("角色").selectOption(role);
    if (account === "wang") await d.getByRole("switch", { name: "chief" }).check();
    await d.locator("input[type=password]").fill(password);
    await d.getByRole("button", { name: "添加账号" }).click();
    await owner.getByText(`已添加 ${account}`).waitFor();
  }
  await owner.getByText("chief").first().waitFor();
  await shot(owner, "county-accounts");
  accounts.operator = "wang"; accounts.viewer = "li";

  const li = await open(browser, { width: 320, lang: "en", as: "viewer" });
  check(await li.getByText("Send a warning").count() === 0, "a viewer is offered to send");
  await view(li, "send");
  await li.getByText("This view is for the role operator").waitFor();
  check(await li.evaluate(async () => (await fetch("/api/v1/alerts", { method: "POST" })).status) === 403, "a viewer sends");

  const page = await open(browser, { width: 1280, as: "operator" });
  await view(page, "stations");
  const row = (name) => page.locator("tbody tr", { hasText: name }).first();
  await row("站105204").getByText("有险情无法判断").waitFor();
  check((await row("站105204").innerText()).includes("1 起报警"), "an alarm that stands is not shown at its station");
  check((await page.locator("tbody tr").first().innerText()).includes("站105204"), "who needs somebody does not stand first");
  await row("站001001").getByText("不知道能不能响").waitFor();
  await shot(page, "county-stations");
  await row("站105203").getByRole("link").click();
  await page.getByRole("heading", { name: /站105203/ }).waitFor();
  await page.getByRole("cell", { name: "fibre" }).first().waitFor();
  await view(page, "alarms");
  await page.getByText("只收到短报文：第 2 级").waitFor();
  await bench("released", 1);
  await page.getByText("没有未解除的报警。").waitFor();

  await view(page, "send");
  await page.setInputFiles('input[type="file"]', { name: "x.xml", mimeType: "text/xml", buffer: Buffer.from("<a/>") });
  await page.fill('input[name="area"]', "330483105");
  await button(page, "核对").click();
  await page.getByRole("alert").getByText("不是可用的预警").waitFor();
  await page.setInputFiles('input[type="file"]', { name: "warning.xml", mimeType: "text/xml", buffer: readFileSync(warning) });
  await button(page, "核对").click();
  await page.getByText("会送给 2 个站").waitFor();
  check((await page.locator("[data-villages]").innerText()).includes("站105204"), "who is asked is not named");
  await page.getByLabel(/^再次输入您的密码/).fill("wrong");
  await hold(page, /按住下发到 2 个站/, 1600);
  await page.getByRole("alert").getByText("密码不对，没有执行").waitFor();
  await page.getByLabel(/^再次输入您的密码/).fill(password);
  await hold(page, /按住下发到 2 个站/, 300);
  check(await page.getByText("看各村回执").count() === 0, "a short press sends");
  await shot(page, "county-send");
  await hold(page, /按住下发到 2 个站/, 1600);
  await page.getByText("已交给 2 个站的链路").waitFor();
  await shot(page, "county-sent");
  await page.getByRole("link", { name: "看各村回执" }).click();

  // By village: reached and silent is not known, and not reached is that.
  await row("站105204").getByText("还没送到，等链路取走").waitFor();
  await row("站105203").waitFor();
  await bench("sounding", 1);
  await row("站105203").getByText("正在响").or(row("站105203").getByText("已响")).or(row("站105203").getByText("播发")).first().waitFor();
  await bench("heard", 1);
  await row("站105203").getByText("已听到（实测）").first().waitFor();
  check((await page.locator("[data-sent]").first().innerText()).includes("1/2 村测到响了"), "what was measured is not counted");
  check((await row("站105204").innerText()).includes("还没送到"), "a silent village is taken as reached");
  await shot(page, "county-receipts");
  if (process.env.PICTURES) {
    await page.setViewportSize({ width: 1100, height: 720 });
    await picture(page, "county-zh");
    await page.setViewportSize({ width: 1280, height: 844 });
  }
  await view(li, "sent");
  await li.getByText("not reached yet: waiting for a link").first().waitFor();
  await shot(li, "county-receipts-en");

  await view(page, "live");
  await page.locator(`[data-key="${station}/dock-1"]`).click();
  await page.getByText("先写事由").waitFor();
  await page.fill("#why", "flood");
  await page.locator(`[data-key="${station}/dock-1"]`).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => { const v = document.querySelector("figure video"); return v && v.videoWidth === 320 && v.currentTime > 0.5; }, null, { timeout: 40000 });
  await page.locator(".over", { hasText: "秒前" }).waitFor();
  await page.locator("#seen", { hasText: "Wang（wang）" }).waitFor();
  await shot(page, "county-live");

  // An end of the sign-in by the owner ends it all.
  await view(owner, "stations");
  await view(owner, "accounts");
  await owner.getByRole("button", { name: /让其退出 wang/ }).first().click();
  await owner.getByText("已让 wang 退出").waitFor();
  await page.getByRole("heading", { name: "值班登录" }).waitFor();
  check(await page.locator("video").count() === 0, "a picture goes on without a sign-in");
  await signIn(page, "operator");

  // Out of reach: said within 3 s, and gone when it is back.
  await view(page, "stations");
  await page.waitForTimeout(1200);
  const since = Date.now();
  await page.context().setOffline(true);
  await page.getByText("没有连上中心").waitFor();
  check(Date.now() - since <= 3500, `out of reach is said after ${Date.now() - since} ms`);
  await page.context().setOffline(false);
  await page.getByText("没有连上中心").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "退出" }).first().click();
  await page.getByRole("heading", { name: "值班登录" }).waitFor();
  check(await page.evaluate(async () => (await fetch("/api/v1/county")).status) === 401, "who signed out still sees the county");

  await view(owner, "audit");
  await owner.getByLabel(/^查找/).fill("/api/v1/alerts");
  await owner.getByText("POST /api/v1/alerts", { exact: true }).first().waitFor();
  const text = await owner.locator("main").innerText();
  check(text.includes("Wang") && !text.includes(password), "the audit lacks who sent, or has a password in it");
  for (const p of [owner, li, page]) check(p.wrong.filter((w) => !/ERR_INTERNET_DISCONNECTED|Failed to fetch/.test(w)).length === 0 && p.foreign.length === 0, [...p.wrong, ...p.foreign].join("\n"));
  // Without script the page says so.
  const bare = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await bare.goto(`${box}/console/`);
  check((await bare.locator("body").innerText()).includes("请打开 JavaScript"), "without script nothing is said");
});
