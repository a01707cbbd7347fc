// The one document, as this tab is changing it: a draft that outlives a lost link, what the
// box thinks of it, and the revision that is on trial. Nothing is in force before apply().
import { act, type Outcome, type Refusal } from "./api/act";
import { api, type Schemas } from "./api/client";
import { confirmed } from "./confirm";

export type Revision = Schemas["Revision"];
export type Judgement = Schemas["Judgement"];
export type Edit = Schemas["ConfigEdit"];

const kept = "tocsin.draft.config", secret = "tocsin.confirm";
export const config = $state<{
  /** The revision that the draft was made from, and its text. */
  base: number; was: string; document: string;
  /** What makes the one into the other, and what is wrong with it; undefined while not asked. */
  diff: string; judged?: Judgement;
  revisions: Revision[]; loaded: boolean; busy: boolean; why?: Refusal | null;
  /** What of the document in force is the county's. */
  managed?: Schemas["ManagedView"];
}>({ base: 0, was: "", document: "", diff: "", revisions: [], loaded: false, busy: false });

export const changed = () => config.loaded && config.document !== config.was;
/** The revision in force, and the one on trial if there is one. */
export const newest = () => config.revisions[config.revisions.length - 1];
export const onTrial = () => config.revisions.find((r) => r.trial);
export const stale = () => { const n = newest(); return !!n && config.base > 0 && n.number !== config.base; };

/** Whose a place of the document is, where it, something in it, or what it is part of is the county's. */
export function managedAt(path: string): Schemas["ManagedView"] | undefined {
  const m = config.managed;
  return m?.settings?.some((s) => s.path === path || path.startsWith(s.path + "/") || s.path.startsWith(path + "/")) ? m : undefined;
}

function read(): { base: number; document: string } | undefined {
  try { return JSON.parse(sessionStorage.getItem(kept) ?? "") ?? undefined; } catch { return undefined; }
}
export function keepDraft() {
  try {
    if (changed()) sessionStorage.setItem(kept, JSON.stringify({ base: config.base, document: config.document }));
    else sessionStorage.removeItem(kept);
  } catch { /* a private window keeps nothing */ }
}

/** A word of this tab's own; who knows it confirms. */
export function word(): string {
  try {
    let w = sessionStorage.getItem(secret);
    if (!w) {
      w = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem(secret, w);
    }
    return w;
  } catch { return "one-window"; }
}
/** Which trials this tab began. */
export const mine = $state<{ number: number }>({ number: Number(sessionStorage.getItem("tocsin.trial") ?? 0) });

export async function list(): Promise<Outcome<Revision[]>> {
  const r = await act(api.GET("/api/v1/config/revisions"));
  if (r.ok) config.revisions = r.data ?? [];
  return r as Outcome<Revision[]>;
}

/** Reads the document in force, and goes on with a draft that this tab has. */
export async function load(anew = false) {
  if (config.loaded && changed() && !anew) { await list(); return; }
  const d = anew ? undefined : read();
  const r = await act(api.GET("/api/v1/config/revisions/{number}", { params: { path: { number: d?.base ?? 0 } } }));
  await list();
  if (!r.ok) { config.why = r.why; return; }
  Object.assign(config, { base: r.data.number, was: r.data.document, document: d?.document ?? r.data.document, diff: "", judged: undefined, loaded: true, why: null });
  if (r.data.managed || !d) config.managed = r.data.managed;
  if (anew) keepDraft();
  if (changed()) await judge();
}

/** Asks what the draft changes, and what the box thinks of it. */
export async function judge() {
  config.busy = true;
  keepDraft();
  const [d, j] = await Promise.all([
    act(api.POST("/api/v1/config/diff", { body: { from: config.base, document: config.document } })),
    act(api.POST("/api/v1/config/check", { body: { document: config.document } })),
  ]);
  config.busy = false;
  config.why = d.ok ? (j.ok ? null : j.why) : d.why;
  if (d.ok) config.diff = d.data.diff;
  if (j.ok) config.judged = j.data;
}

/** Makes edits in the draft, comments kept. */
export async function edit(edits: Edit[]): Promise<Outcome<Schemas["Edited"]>> {
  if (!config.loaded) await load();
  config.busy = true;
  const r = await act(api.POST("/api/v1/config/edit", { body: { base: config.base, document: config.document, edits } })) as Outcome<Schemas["Edited"]>;
  config.busy = false;
  if (r.ok) take(r.data);
  return r;
}

/** Takes what the box made of an edit or an import for the draft. */
export function take(e: Schemas["Edited"]) {
  if (e.base !== config.base) config.was = "";
  Object.assign(config, { base: e.base, document: e.document, diff: e.diff, judged: e.judgement, why: null, loaded: true });
  keepDraft();
}

/** How long a change is tried before it comes back, by what it changes: who changes how the
 *  box is reached needs the longest to come back to it. */
export function seconds(was: string, is: string, restart: boolean): number {
  const cut = (s: string) => {
    const out: Record<string, string> = {};
    let key = "";
    for (const l of s.split("\n")) {
      const m = /^([A-Za-z_]+):/.exec(l);
      if (m) key = m[1]!;
      if (!l.trim().startsWith("#") && l.trim()) out[key] = (out[key] ?? "") + l + "\n";
    }
    return out;
  };
  const a = cut(was), b = cut(is);
  const parts = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((k) => a[k] !== b[k]);
  let s = 90;
  if (parts.some((p) => ["lines", "devices", "outputs", "inputs"].includes(p))) s = 180;
  if (restart) s = Math.max(s, 240);
  if (parts.some((p) => ["page", "links", "county", "proxies", "mqtt", "site", "time"].includes(p))) s = 300;
  return s;
}

async function proposed(body: Schemas["Proposal"]): Promise<Outcome<Revision>> {
  config.busy = true;
  const r = await act(api.POST("/api/v1/config", { body: { ...body, session: word() } })) as Outcome<Revision>;
  config.busy = false;
  if (r.ok) {
    mine.number = r.data.number;
    try { sessionStorage.setItem("tocsin.trial", String(r.data.number)); sessionStorage.removeItem(kept); } catch { /* as above */ }
    await load(true);
  }
  return r;
}
/** hours: for how long what it changes of the county's stands. */
export const apply = (why: string, within: number, hours = 0) => proposed({ base: config.base, document: config.document, why, within_ns: within * 1e9, ...(hours ? { override_ns: Math.round(hours * 3.6e12) } : {}) });
export const again = (number: number, why: string, within: number) => proposed({ base: newest()?.number ?? config.base, again: number, why, within_ns: within * 1e9 });

export async function confirm(number: number) {
  const r = await confirmed(number, word());
  await load(!changed());
  return r;
}
export async function back(number: number) {
  const r = await act(api.POST("/api/v1/config/revisions/{number}/back", { params: { path: { number } }, body: {} }));
  await load(!changed());
  return r;
}

/** The lines of a difference for Diff. */
export function lines(diff: string) {
  return diff.split("\n").filter((l) => l && !l.startsWith("---") && !l.startsWith("+++") && !l.startsWith("\\"))
    .map((l) => l.startsWith("@@") ? { kind: " ", text: "⋯" } : { kind: l[0]!, text: l.slice(1) });
}
