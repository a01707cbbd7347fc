// The pictures of the README, of the pages as they are at a real box (make pictures): the rules and
// the commissioning of a calm one, then a flash flood. Look at them before they are committed.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bench, box, check, open, run, settled, view } from "./lib.mjs";

const folder = process.env.PICTURES, most = 60000;

async function picture(page, name) {
  await settled(page);
  const cdp = await page.context().newCDPSession(page);
  for (let quality = 82; ; quality -= 8) {
    const b = Buffer.from((await cdp.send("Page.captureScreenshot", { format: "webp", quality })).data, "base64");
    if (b.length > most && quality > 30) continue;
    check(b.length <= most && b.length > 4000, `${name} has ${b.length} bytes`);
    writeFileSync(join(folder, name + ".webp"), b);
    break;
  }
  check(page.wrong.length === 0 && page.foreign.length === 0, `${name}: ${page.wrong.concat(page.foreign).join("\n")}`);
}

await run(async (browser) => {
  mkdirSync(folder, { recursive: true });
  for (const lang of ["zh", "en"]) {
    const desk = await open(browser, { lang, width: 1100, height: 720, as: "owner" });
    await view(desk, "rules");
    await desk.waitForSelector(".said");
    await picture(desk, `rules-${lang}`);
    await desk.context().close();
  }
  const phone = await open(browser, { width: 390, as: "owner" });
  await view(phone, "wizard");
  await phone.waitForSelector(".verdict");
  await picture(phone, "wizard-zh");
  await phone.goto(`${box}/rescue?lang=zh`);
  await picture(phone, "rescue-zh");
  await bench("river", 6.8);
  for (const lang of ["zh", "en"]) {
    const desk = await open(browser, { lang, width: 1100, height: 720, as: "operator" });
    await view(desk, "live");
    await desk.waitForSelector(".level.tone-red", { timeout: 20000 });
    // Of a machine that keeps up with the simulated lines: else the picture is one of faults.
    await desk.waitForFunction(() => document.querySelectorAll("main .figure").length > 0 && !/通信故障|没有应答|communication fault|does not answer/.test(document.querySelector("main").innerText), null, { timeout: 60000 });
    await picture(desk, `flood-${lang}`);
    await desk.context().close();
  }
  const sun = await open(browser, { theme: "sun", width: 390, as: "operator" });
  await view(sun, "alarms");
  await sun.waitForSelector("article.alarm");
  await picture(sun, "alarm-sun-zh");
  const cadre = await open(browser, { width: 390, as: "cadre" });
  await cadre.goto(`${box}/cadre?lang=zh`);
  await picture(cadre, "cadre-zh");
  await bench("river", 2.1);
});
