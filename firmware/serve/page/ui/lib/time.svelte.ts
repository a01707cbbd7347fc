// Times and ages in the reader's words. The box's clock counts, never the phone's: `now` is the
// box's time of the last answer, moved on by the phone's monotonic clock.
import { t, words } from "./i18n/index.svelte";

let base = Date.now(), at = performance.now();
export const clock = $state({ now: Date.now() });
setInterval(() => (clock.now = base + performance.now() - at), 1000);

/** Takes the box's time from an answer. */
export function setNow(iso: string) {
  const n = Date.parse(iso);
  if (!Number.isNaN(n)) { base = n; at = performance.now(); clock.now = n; }
}

const zone = "Asia/Shanghai";
const formats = new Map<string, Intl.DateTimeFormat>();
function format(kind: string, o: Intl.DateTimeFormatOptions) {
  const key = words.lang + kind;
  let f = formats.get(key);
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(words.lang === "zh" ? "zh-CN" : "en-GB", { timeZone: zone, hourCycle: "h23", ...o })));
  return f;
}

const none = (iso?: string | null) => !iso || iso.startsWith("0001");

/** 22:40:08, with its date where that is not today's. */
export function when(iso?: string | null): string {
  if (none(iso)) return "—";
  const d = new Date(iso!), day = format("day", { year: "numeric", month: "short", day: "numeric" });
  const time = format("time", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(d);
  return day.format(d) === day.format(clock.now) ? time : `${format("date", { month: "short", day: "numeric" }).format(d)} ${time}`;
}

/** How long ago, in words. */
export function ago(iso?: string | null): string {
  return none(iso) ? "—" : t("lib.ago", { span: span(Math.max(0, clock.now - Date.parse(iso!)) * 1e6) });
}

/** A length of nanoseconds in words. */
export function span(ns: number): string {
  const s = ns / 1e9;
  if (s < 1) return t("lib.under_a_second");
  if (s < 60) return t("lib.seconds", { n: Math.floor(s) });
  if (s < 3600) return t("lib.minutes", { n: Math.floor(s / 60) });
  if (s < 172800) return t("lib.hours", { n: Math.floor(s / 3600) });
  return t("lib.days", { n: Math.floor(s / 86400) });
}
