// The box's software: what is not signed by who may release is refused with its reason, a good
// release runs on trial, is taken back for a reason that the page then shows, and stays only when
// it is confirmed; what is older is never taken.
import { bench, box, check, open, run, shot, view } from "./lib.mjs";

const bundle = async (n, by = "") => ({ name: `release-${n}.tar`, mimeType: "application/x-tar", buffer: Buffer.from(await (await fetch(`${process.env.BENCH}/release?n=${n}&by=${by}`)).arrayBuffer()) });

await run(async (browser) => {
  const page = await open(browser, { as: "technician" });
  const now = async () => (await page.request.get(`${box}/api/v1/update`)).json();
  const bring = (file) => page.setInputFiles('main input[type="file"]', file);
  const hold = async () => {
    const b = page.locator("button.hold");
    await b.scrollIntoViewIfNeeded();
    await b.hover();
    await page.mouse.down();
    await page.getByText("试运行中，还剩").waitFor();
    await page.mouse.up();
  };
  await view(page, "update");
  const first = (await now()).running.version;
  await page.locator(".big", { hasText: first }).waitFor();

  await bring(await bundle(2, "other"));
  await page.getByText("不是发布人签的").waitFor();
  check((await now()).phase === "idle", "what somebody else signed was staged");
  const whole = await bundle(2);
  await bring({ ...whole, buffer: whole.buffer.subarray(0, 1536) });
  await page.getByText("不完整").waitFor();
  const bent = Buffer.from(whole.buffer);
  bent[bent.indexOf("#!/bin/sh")] ^= 1;
  await bring({ ...whole, buffer: bent });
  await page.getByText("内容损坏").waitFor();
  await bring({ name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from("no tar") });
  await page.getByText("不是警钟的升级包").waitFor();
  check((await now()).phase === "idle", "something was staged");
  await shot(page, "update-refused");

  // What somebody else brings is seen here too, as far as it has come.
  let more;
  const rest = new Promise((r) => { more = r; });
  const cookie = (await page.context().cookies()).map((c) => `${c.name}=${c.value}`).join("; ");
  const slow = fetch(`${box}/api/v1/update/file`, { method: "POST", duplex: "half", headers: { cookie, origin: box, "content-type": "application/octet-stream" }, body: new ReadableStream({
    async start(c) { c.enqueue(whole.buffer.subarray(0, 1000)); await rest; c.close(); },
  }) });
  await Promise.race([page.getByText("正在写入").waitFor(), slow.then(async (r) => check(false, `it was answered ${r.status} ${await r.text()}`))]);
  await shot(page, "update-coming");
  more();
  check((await slow).status === 409, "half of a release was taken");
  await page.getByText("正在写入").waitFor({ state: "detached" });

  await bring(whole);
  await page.getByText("待启用：2.0 (2)").waitFor();
  check(!(await page.getByText("不是警钟的升级包").count()), "what was refused before is still shown");
  await shot(page, "update-staged");
  await hold();
  check((await now()).running.version === "2.0", "it does not run");
  const left = async () => (await now()).left_ns;
  const before = await left();
  await shot(page, "update-trial");
  await page.getByLabel("退回原因").fill("雨量计读数不对");
  await page.getByRole("button", { name: "退回旧版" }).click();
  await page.getByText("上次退回").waitFor();
  const said = await page.innerText("main");
  check(said.includes("雨量计读数不对") && said.includes("Ji"), "the page does not say who took it back and why: " + said);
  check(/2\.0 (于 .+ 退回|已退回)。/.test(said) && said.includes(`现在运行的 ${first} 正常`), "the page does not say which went back and what runs: " + said);
  await page.getByRole("link", { name: "下载支持包" }).waitFor();
  check((await now()).running.version === first, "the one of before does not run");
  check(before > 500e9 && before <= 600e9, `a trial of ${before / 1e9} s`);
  await shot(page, "update-back");

  await bring(await bundle(3));
  await page.getByText("待启用：3.0 (3)").waitFor();
  await hold();
  await page.getByRole("button", { name: "确认，留用新版" }).click();
  await page.locator(".big", { hasText: "3.0" }).waitFor();
  await page.getByText("选择升级包").waitFor();
  check((await now()).phase === "idle" && !(await now()).reason, "it was not confirmed");
  await bring(await bundle(2));
  await page.getByText("盒子不收旧版").waitFor();

  // While a level stands nothing is activated, and the page says so; a phone in English too.
  await bring(await bundle(4));
  await page.getByText("待启用：4.0 (4)").waitFor();
  await bench("river", 6.8);
  await page.getByText("有警报级别时不升级").waitFor({ timeout: 20000 });
  check(await page.locator("button.hold").isDisabled(), "it could be activated while a level stands");
  await shot(page, "update-barred");
  const records = await (await page.request.get(`${box}/api/v1/journal?limit=1000`)).json();
  for (const kind of ["update.refused", "update.staged", "update.trial", "update.back", "update.confirmed"]) check(records.some((r) => r.kind === kind), `no ${kind} in the journal`);
  await bench("river", 2.1);
  const op = await open(browser, { as: "operator" });
  for (let over = false; !over; await page.waitForTimeout(200)) {
    const all = (await (await op.request.get(`${box}/api/v1/alarms`)).json()).filter((a) => a.state !== "released");
    over = !all.length;
    for (const a of all) await op.request.post(`${box}/api/v1/alarms/${a.id}/release`, { data: { reason: "e2e" }, headers: { origin: box } });
  }
  check(page.wrong.length === 0 && page.foreign.length === 0, page.wrong.concat(page.foreign).join("\n"));
});
