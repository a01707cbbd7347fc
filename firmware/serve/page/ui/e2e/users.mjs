// An owner adds somebody, who signs in and may do what their role says; the owner makes them
// another, which signs them out, ends a session, and finds it all in the audit. What is
// exported is as the box keeps it.
import { readFileSync } from "node:fs";
import { box, check, open, password, run, shot, view } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, { as: "owner", width: 390 });
  await view(page, "users");
  await page.getByText("谁能登录").first().waitFor();
  const account = "mei" + Date.now().toString(36);
  const secret = "plum wind bridge " + account.slice(3);
  await page.getByRole("button", { name: "添加账号" }).first().click();
  const dialog = page.locator("dialog[open]");
  await dialog.getByLabel("姓名").fill("Mei");
  await dialog.getByRole("textbox", { name: /^账号/ }).fill(account);
  await dialog.getByLabel("角色").selectOption("cadre");
  await dialog.locator("input[type=password]").fill("12345678");
  await dialog.getByRole("button", { name: "添加账号" }).click();
  await dialog.getByText("这个密码太常见").waitFor();
  check((await page.evaluate(() => JSON.stringify(sessionStorage))).includes("12345678") === false, "a password is kept in the tab");
  await dialog.locator("input[type=password]").fill(secret);
  await dialog.getByRole("button", { name: "添加账号" }).click();
  await page.getByText(`已添加 ${account}`).waitFor();
  await shot(page, "flow-users");

  const theirs = await browser.newContext();
  const mei = await theirs.newPage();
  await mei.goto(`${box}/sign-in?to=/console/`);
  await mei.fill('input[name="account"]', account);
  await mei.fill('input[name="password"]', secret);
  await Promise.all([mei.waitForURL(/\/console\//), mei.click("form button")]);
  const role = () => mei.evaluate(async () => (await (await fetch("/api/v1/session")).json()).role);
  check((await role()) === "cadre", "the new account is no cadre");
  check((await mei.evaluate(async () => (await fetch("/api/v1/users")).status)) === 403, "a cadre sees the accounts");

  await page.getByRole("button", { name: "修改 Mei" }).last().click();
  await page.locator("dialog[open]").getByLabel("角色").selectOption("operator");
  await page.locator("dialog[open]").getByRole("button", { name: "保存" }).click();
  await page.getByText(`已保存 ${account}`).waitFor();
  check((await role()) === "viewer", "another role does not sign them out");

  await mei.goto(`${box}/sign-in`);
  await mei.fill('input[name="account"]', account);
  await mei.fill('input[name="password"]', secret);
  await mei.click("form button");
  await mei.waitForURL(`${box}/`);
  check((await role()) === "operator", "the new role does not hold");
  await view(page, "live");
  await view(page, "users");
  await page.getByRole("button", { name: new RegExp(`让其退出 ${account}`) }).click();
  await page.getByText(`已让 ${account} 退出`).waitFor();
  check((await role()) === "viewer", "a session that was ended goes on");

  await page.getByRole("button", { name: "修改 Mei" }).last().click();
  await page.locator("dialog[open]").getByRole("button", { name: "删除账号" }).click();
  await page.locator("dialog[open]").getByRole("button", { name: "确认删除" }).click();
  await page.getByText(`已删除 ${account}`).waitFor();

  await view(page, "audit");
  await page.getByLabel(/^查找/).fill(account);
  await page.getByText(`/api/v1/users/${account}/remove`).first().waitFor();
  const text = await page.locator("main").innerText();
  for (const s of ["POST /api/v1/users", "POST /sign-in", "Mei operator"]) check(text.includes(s.slice(0, 12)), `the audit lacks ${s}`);
  check(!text.includes(secret) && !text.includes(password), "a password stands in the audit");
  await shot(page, "flow-audit");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "导出" }).click()]);
  const saved = readFileSync(await download.path(), "utf8"), kept = readFileSync(`${process.env.BOX_DATA}/audit.log`, "utf8");
  check(kept.startsWith(saved) && saved.length > 1000, "the export is not what the box keeps");
  check(page.wrong.length === 0 && page.foreign.length === 0, [...page.wrong, ...page.foreign].join("\n"));
});
