// How a value is written and what its quality looks like.
import type { Reading } from "./box.svelte";
import type { Icon } from "./icons";

const decimals: Record<string, number> = { mm: 1, m: 2, V: 2, "%CH4": 2, "°C": 1, "m/s": 1, dB: 1 };

/** A value's digits: as many as its unit deserves. */
export function number(r: Pick<Reading, "value" | "unit">): string {
  return digits(r.value ?? NaN, r.unit);
}
export function digits(v: number, unit: string): string {
  const n = decimals[unit] ?? (Number.isInteger(v) || Math.abs(v) >= 100 ? 0 : 2);
  return v.toFixed(n);
}

const looks: Record<string, { icon: Icon; tone: string }> = {
  good: { icon: "ok", tone: "calm" }, suspect: { icon: "doubt", tone: "unsure" }, stale: { icon: "clock", tone: "unsure" },
  out_of_range: { icon: "range", tone: "unsure" }, sensor_fault: { icon: "warn", tone: "fault" }, comm_fault: { icon: "cross", tone: "fault" }, unknown: { icon: "wait", tone: "unsure" },
};
/** Icon, tone and the word's key of a quality; one that is not known here is not trusted. */
export function quality(q: string): { key: string; icon: Icon; tone: string } {
  const key = q.replaceAll("-", "_");
  return key in looks ? { key, ...looks[key]! } : { key: "unknown", icon: "doubt", tone: "unsure" };
}

/** A contact or a code that is good: told as a chip, not as a gauge. */
export function isSwitch(r: Reading): boolean {
  return r.quality === "good" && (r.unit === "on/off" || r.unit === "1");
}
