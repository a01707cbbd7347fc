// Lengths of time as the site's file writes them: 90s, 2m, 1h30m.
export function written(ns: number | undefined): string {
  let s = Math.round((ns ?? 0) / 1e9), out = "";
  if (!s) return "";
  for (const [unit, n] of [["h", 3600], ["m", 60], ["s", 1]] as const) { const k = Math.floor(s / n); if (k) { out += k + unit; s -= k * n; } }
  return out;
}
/** Whether a text is one. */
export const isLength = (s: string) => /^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(s.trim());
