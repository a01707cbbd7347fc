// The cadre's page and the rescue page, as a cadre at midnight has them: without script, by thumb, by
// keyboard, with a microphone; what is heard is read from what the horn played and from the siren's current.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { accounts, box, check, open, password, run, shot, view } from "./lib.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const horn = join(process.env.BOX_DATA, "..", "horn");
const sounding = async () => (await (await fetch(`${process.env.BENCH}/sounding`)).text()) === "true";
const pause = (ms) => new Promise((r) => setTimeout(r, ms));

async function until(what, f, most = 15000, detail) {
  for (const end = Date.now() + most; ; await pause(20)) {
    const x = await f();
    if (x) return x;
    check(Date.now() < end, `not in time: ${what} ${await detail?.()}`);
  }
}

/** What the horn has played, newest last: seconds with sound in them, and the level of these in dB of full scale. */
function played() {
  let files = [];
  try { files = readdirSync(horn).filter((f) => /^\d.*\.wav$/.test(f)).sort(); } catch { return []; }
  return files.map((f) => {
    const b = readFileSync(join(horn, f));
    const rate = b.readUInt32LE(24), n = Math.max(0, (b.length - 44) >> 1), block = rate / 50;
    let loud = 0, sum = 0, first = -1, last = -1;
    for (let i = 0; i + block <= n; i += block) {
      let s = 0;
      for (let k = 0; k < block; k++) s += (b.readInt16LE(44 + 2 * (i + k)) / 32768) ** 2;
      if (s / block > 1e-5) { loud++; sum += s / block; last = i; if (first < 0) first = i; }
    }
    return { seconds: loud / 50, span: (last - first) / rate, db: loud ? 10 * Math.log10(sum / loud) : -99 };
  });
}

async function release(page) {
  const all = await (await page.request.get(`${box}/api/v1/alarms`)).json();
  for (const a of all.filter((x) => x.state !== "released")) {
    const r = await page.request.post(`${box}/api/v1/alarms/${a.id}/release`, { data: { reason: "e2e" }, headers: { origin: box } });
    check(r.ok(), `release: ${r.status()}`);
  }
}

/** Nothing that axe finds, also at 7:1; nothing sideways, also with text twice as large; thumbs' targets. */
async function look(page, at, width) {
  for (const size of [100, 200]) {
    await page.evaluate((s) => { document.documentElement.style.fontSize = `${1.125 * s}%`; }, size);
    const m = await page.evaluate(() => ({
      scroll: document.documentElement.scrollWidth,
      small: [...document.querySelectorAll("button, input:not([type=hidden])")].map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 80)]).filter(([r, h]) => r.width && r.height < (h.startsWith("<button") ? 64 : 44)).map(([, h]) => h),
      links: [...document.querySelectorAll("a")].map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 80)]).filter(([r]) => r.width && (r.height < 44 || r.width < 44)).map(([r, h]) => `${r.width}×${r.height} ${h}`),
    }));
    check(m.scroll <= width, `${at} at ${size} % is ${m.scroll} px wide`);
    check(!m.small.length && !m.links.length, `${at} at ${size} %: small targets ${m.small} ${m.links}`);
    await shot(page, `${at}-${size}`);
  }
  await page.evaluate(() => { document.documentElement.style.fontSize = ""; });
  if (!/zh-320|en-390/.test(at)) return;
  await page.evaluate(axe);
  const bad = await page.evaluate(async () => (await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21aa", "wcag22aa", "best-practice"], rules: { "color-contrast-enhanced": { enabled: true } }, resultTypes: ["violations"] })).violations.flatMap((v) => v.nodes.map((n) => `${v.id} ${n.html.slice(0, 120)} ${(n.any[0]?.message ?? "").slice(0, 120)}`)));
  check(!bad.length, `${at}: ${bad.join("\n")}`);
}

await run(async (browser) => {
  let owner = await open(browser, { as: "owner" });
  await release(owner);

  // Both pages in both languages, as who may and as a stranger; each within its 10 kB.
  for (const lang of ["zh", "en"]) for (const width of [320, 390]) {
    const stranger = await open(browser, { lang, width });
    for (const path of ["cadre", "rescue"]) for (const [who, page] of [["owner", owner], ["stranger", stranger]]) {
      await page.setViewportSize({ width, height: 844 });
      const whole = await (await page.request.get(`${box}/${path}?lang=${lang}`)).text();
      let bytes = Buffer.byteLength(whole);
      for (const [, asset] of whole.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)) bytes += (await (await page.request.get(box + asset)).body()).length;
      await page.goto(`${box}/${path}?lang=${lang}`);
      check(bytes > 1000 && bytes < 10000, `${path} in ${lang} loads ${bytes} bytes`);
      if (width === 320) console.log(`${path} ${lang} ${who}: ${bytes} bytes`);
      await look(page, `${path}-${who}-${lang}-${width}`, width);
      check(!page.wrong.length && !page.foreign.length, `${path}: ${page.wrong} ${page.foreign}`);
    }
    await stranger.context().close();
  }

  // Without script: a message, an evacuation in two steps, STOP.
  const plain = await (await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 640 }, locale: "zh-CN" })).newPage();
  await plain.goto(`${box}/sign-in?to=/cadre`);
  await plain.fill('input[name="account"]', accounts.cadre);
  await plain.fill('input[name="password"]', password);
  await Promise.all([plain.waitForURL(/\/cadre/), plain.click("form button:not(.stop)")]);
  const before = played().length;
  await plain.click('button[value="river"]');
  await plain.waitForSelector(".said:not(.bad)");
  await until("the message is heard", () => played().length > before && played().at(-1).seconds > 2);
  check(!(await sounding()), "words made the siren sound");
  await plain.click('button[value="evacuate"]');
  await shot(plain, "cadre-step-two");
  check(!(await sounding()), "the first step made the siren sound");
  await plain.click("section.step .red");
  await plain.waitForSelector(".said:not(.bad)");
  await until("the siren sounds", sounding);
  await plain.reload();
  await shot(plain, "cadre-evacuated");
  await plain.click("button.stop");
  await plain.waitForSelector(".said:not(.bad)");
  const stopped = Date.now();
  while (Date.now() - stopped < 2500) { check(Date.now() - stopped < 600 || !(await sounding()), "the siren sounds after STOP"); await pause(30); }
  await release(owner);
  await until("the all-clear is heard", async () => (await (await owner.request.get(`${box}/api/v1/soundings`)).json()).now.length);
  await owner.request.post(`${box}/api/v1/stop`, { data: {}, headers: { origin: box } });

  // One address has so many connections at the box: who is done goes.
  await plain.context().close();
  await owner.context().close();

  // By the microphone: Chromium's fake one beeps. Held by thumb, then by the space key.
  const cadre = await open(browser, { as: "cadre" });
  await cadre.goto(`${box}/cadre?lang=zh`);
  for (const by of ["thumb", "space"]) {
    const n = played().length;
    await cadre.waitForSelector("#talk");
    const b = await cadre.locator("#talk").boundingBox();
    const press = async () => { if (by === "thumb") { await cadre.mouse.move(b.x + 40, b.y + 40); await cadre.mouse.down(); } else { await cadre.evaluate(() => document.activeElement.blur()); await cadre.keyboard.down(" "); } };
    const lift = () => (by === "thumb" ? cadre.mouse.up() : cadre.keyboard.up(" "));
    await press();
    await until("speaking", async () => (await cadre.textContent("#ts")).trim() === "正在喊话", 15000, () => cadre.textContent("#ts"));
    await until("the loudness moves", async () => (await cadre.evaluate(() => document.getElementById("vu").value)) > 0.02);
    await until("who is hearing it", async () => /村部喇叭.*已开始/s.test(await cadre.textContent("#now")));
    if (by === "thumb") await shot(cadre, "cadre-speaking");
    await pause(4000);
    await lift();
    await until("it has ended", async () => (await cadre.textContent("#ts")).includes("结束"));
    const heard = await until("the voice is in what the horn played", () => played().length === n + 1 && played().at(-1));
    check(heard.seconds > 0.1 && heard.span > 2 && heard.span < 6 && heard.db > -30, `heard by ${by}: ${JSON.stringify(heard)}`);
    console.log(`voice by ${by}: ${heard.seconds.toFixed(2)} s of beeps over ${heard.span.toFixed(1)} s at ${heard.db.toFixed(1)} dB`);
  }
  check(!cadre.wrong.length && !cadre.foreign.length, `cadre: ${cadre.wrong} ${cadre.foreign}`);

  // A message of the village's own, by the same microphone: recorded, listened to, put to use, said, deleted.
  await cadre.goto(`${box}/cadre/record?lang=zh`);
  await cadre.fill("#name", "停水通知");
  const record = async () => {
    const b = await cadre.locator("#talk").boundingBox();
    await cadre.mouse.move(b.x + 40, b.y + 40);
    await cadre.mouse.down();
    await until("recording", async () => /正在录|请再按住/.test(await cadre.textContent("#ts")), 15000, () => cadre.textContent("#ts"));
    await pause(4000);
    await cadre.mouse.up();
  };
  await record();
  await until("it is recorded", async () => (await cadre.locator(".rec").count()) === 1 && /录好了/.test(await cadre.textContent(".said")), 15000, () => cadre.textContent("body"));
  await cadre.click('.rec form button:not([formaction])');
  check(/请先在本页从头听一遍/.test(await cadre.textContent(".said.bad")), "it was put to use before anybody listened");
  await cadre.evaluate(() => document.querySelector("audio").play());
  await until("it plays", () => cadre.evaluate(() => document.querySelector("audio").currentTime > 0.3));
  await look(cadre, "record-cadre-zh-320", (await cadre.setViewportSize({ width: 320, height: 844 }), 320));
  await cadre.click('.rec form button:not([formaction])');
  await until("it is in use", async () => /已启用/.test(await cadre.textContent(".said")));
  await cadre.goto(`${box}/cadre?lang=zh`);
  const sung = played().length;
  await cadre.click('button[name="message"]:has-text("停水通知")');
  await cadre.waitForSelector(".said:not(.bad)");
  const own = await until("the village's own words are heard", () => played().length === sung + 1 && played().at(-1).span > 6 && played().at(-1), 25000);
  console.log(`own message: ${own.seconds.toFixed(2)} s of sound at ${own.db.toFixed(1)} dB`);
  await cadre.click("button.stop");
  await cadre.goto(`${box}/cadre/record?lang=en`);
  await cadre.setViewportSize({ width: 390, height: 844 });
  await look(cadre, "record-cadre-en-390", 390);
  check(!(await cadre.locator("button[formaction]").count()), "a cadre may delete what is in use");
  check(!cadre.wrong.length && !cadre.foreign.length, `record: ${cadre.wrong} ${cadre.foreign}`);
  await cadre.context().close();

  // A siren is tried in the console while a finger holds the button; then the browser goes with the finger still down.
  const op = await open(browser, { as: "operator" });
  for (const how of ["let go", "browser gone"]) {
    await view(op, "live");
    await view(op, "announcer");
    const trial = op.locator("#trial");
    check(await trial.locator("button.hold").isDisabled(), "it could be held before anything was ticked");
    await trial.getByRole("switch", { name: /村部警报器/ }).check();
    for (const box of await trial.locator("fieldset ~ label input").all()) await box.check(); // nobody near; at night the neighbours know
    if (how === "let go") await shot(op, "announcer-ready");
    await trial.locator("button.hold").scrollIntoViewIfNeeded();
    const b = await trial.locator("button.hold").boundingBox();
    await op.mouse.move(b.x + 60, b.y + 30);
    await op.mouse.down();
    await until("the tried siren sounds", sounding);
    await pause(700);
    await until("its next pulse begins", sounding);
    if (how === "let go") { await shot(op, "announcer-sounding"); await op.mouse.up(); } else await op.goto("about:blank");
    const at = Date.now();
    let last = at;
    while (Date.now() - at < 4500) // longer than two pulses and their pauses
      { if (await sounding()) last = Date.now(); await pause(15); }
    check(last - at <= 1000, `${how}: it sounded ${last - at} ms more`);
    console.log(`test, ${how}: silent ${last - at} ms after`);
    if (how === "let go") check(/试声结束/.test(await trial.textContent()), "the page does not say that it is over");
  }
  owner = await open(browser, { as: "owner" });
  await owner.goto(`${box}/cadre/record?lang=zh`);
  await owner.click("button[formaction]");
  await until("it is deleted", async () => (await owner.locator(".rec").count()) === 0);
  const records = await (await owner.request.get(`${box}/api/v1/journal?limit=1000`)).json();
  check(records.some((r) => r.kind === "test.ended" && r.who?.name), "the test is not in the journal");

  // The rescue page: what it shows is what is there.
  await owner.goto(`${box}/rescue?lang=zh`);
  check((await owner.locator("pre").textContent()).length > 100, "no log lines");
  check((await owner.request.get(`${box}/api/v1/support-bundle`)).ok(), "no support bundle");
});
