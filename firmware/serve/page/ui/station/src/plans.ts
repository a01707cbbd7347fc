// A plan as the site's file writes it, made of what the box shows.
import type { Schemas } from "../../lib/api/client";
import { written } from "../../lib/length";

type Said = { tone: string; clips: string[]; clips_by: Record<string, string[] | null | undefined>; outputs: string[]; zones: string[]; on: string; off: string; resound: string; for: string };

/** A step without what says nothing. */
export function valueOf(s: Said): Record<string, unknown> {
  const v: Record<string, unknown> = {};
  if (s.tone) v.tone = s.tone;
  if (s.clips.length) v.clips = s.clips;
  const by = Object.fromEntries(Object.entries(s.clips_by).filter(([, l]) => l?.length));
  if (Object.keys(by).length) v.clips_by = by;
  if (s.outputs.length) v.outputs = s.outputs;
  if (s.zones.length) v.zones = s.zones;
  if (s.on) v.duty = { on: s.on, off: s.off || "0s" };
  if (s.resound) v.resound = s.resound;
  if (s.for) v.for = s.for;
  return v;
}

const special = ["all_clear", "drill", "test", "notice"];
export const stepPath = (step: string) => special.includes(step) ? step : "levels/" + step;

const asShown = (s: Schemas["PlanStep"]) => valueOf({ tone: s.tone ?? "", clips: s.clips ?? [], clips_by: s.clips_by ?? {}, outputs: s.everywhere || s.zones?.length ? [] : s.outputs ?? [], zones: s.zones ?? [], on: written(s.on_ns), off: written(s.off_ns), resound: written(s.resound_ns), for: written(s.for_ns) });

/** All of a plan: what a copy in the site's file begins as. */
export function planOf(p: Schemas["PlanView"], change: { step: string; value?: Record<string, unknown> } | null = null): Record<string, unknown> {
  const out: Record<string, unknown> = { name: { zh: p.name.zh, en: p.name.en || p.name.zh } }, levels: Record<string, unknown> = {};
  for (const s of p.steps ?? []) {
    const v = change?.step === s.step ? change.value : asShown(s);
    if (v === undefined) continue;
    if (special.includes(s.step)) out[s.step] = v; else levels[s.step] = v;
  }
  if (change?.value && !(p.steps ?? []).some((s) => s.step === change.step)) out[change.step] = change.value;
  return { name: out.name, levels, ...Object.fromEntries(special.filter((k) => out[k]).map((k) => [k, out[k]])) };
}
