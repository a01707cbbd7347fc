// The pictures of the README, of the pages as they are at a real box (make pictures): the rules and
// the commissioning of a calm one, then a flash flood (the county's is taken in county.mjs). Look at them before they are committed.
import { bench, box, open, picture, run, view } from "./lib.mjs";

await run(async (browser) => {
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
