// What the box says of itself, kept up to date for every view: read box.status, box.readings …
// and the page follows. It comes by one stream of events.
import { api, type Schemas } from "./api/client";
import { setNow } from "./time.svelte";

export type Status = Schemas["Status"];
export type Reading = Schemas["Reading"];
export type Alarm = Schemas["Alarm"];
export type Fault = Schemas["Fault"];
export type Soundings = Schemas["Soundings"];
export type Session = Schemas["Session"];
export type Readiness = Schemas["Readiness"];
export type Record = Schemas["Record"];

export const box = $state<{
  /** Whether the box answers: waiting for the first answer, up, or lost. */
  link: "waiting" | "up" | "lost";
  /** When it last answered, by the phone's monotonic clock. */
  heard: number;
  status?: Status; readings?: Reading[]; alarms?: Alarm[]; faults?: Fault[]; soundings?: Soundings; readiness?: Readiness; session?: Session;
}>({ link: "waiting", heard: 0 });

/** After this long without a word the page says that the box is out of reach; it speaks each second. */
const lostAfter = 2800;
/** How often states are asked where events do not come, as on an old WebView. */
const pause = 1500;
type Listener = (r: Record) => void;
const listeners = new Set<Listener>();
let source: EventSource | undefined;

/** Calls f with each record of the journal as it is made, and with nothing where some were missed. */
export function onRecord(f: (r?: Record) => void): () => void {
  const g = f as Listener;
  listeners.add(g);
  return () => listeners.delete(g);
}

function heard() {
  box.heard = performance.now();
  if (!box.session || box.link === "lost") void refreshSession();
  box.link = "up";
}

/** Puts new readings in the place of old ones, in the site's order. */
function take(news: Reading[]) {
  const all = box.readings ?? [];
  if (all.length === 0 || news.length >= all.length) {
    box.readings = news;
    return;
  }
  for (const r of news) {
    const i = all.findIndex((x) => x.point === r.point);
    if (i >= 0) all[i] = r;
    else all.push(r);
  }
}

function listen() {
  source?.close();
  const s = (source = new EventSource("/api/v1/events"));
  const on = <T>(kind: string, f: (v: T) => void) => s.addEventListener(kind, (e) => { heard(); f(JSON.parse((e as MessageEvent<string>).data) as T); });
  on<Status>("status", (v) => { box.status = v; setNow(v.now); });
  on<Readiness>("readiness", (v) => (box.readiness = v));
  on<Reading[]>("reading", take);
  on<Alarm[]>("alarms", (v) => (box.alarms = v));
  on<Soundings>("soundings", (v) => (box.soundings = v));
  on<Fault[]>("faults", (v) => (box.faults = v));
  on<Record>("record", (v) => listeners.forEach((f) => f(v)));
  on<unknown>("gap", () => listeners.forEach((f) => (f as (r?: Record) => void)()));
}

/** Asks for all states once. */
async function look() {
  try {
    const [s, y, r, a, f, n] = await Promise.all([
      api.GET("/api/v1/status"), api.GET("/api/v1/readiness"), api.GET("/api/v1/readings"), api.GET("/api/v1/alarms"), api.GET("/api/v1/faults"), api.GET("/api/v1/soundings"),
    ]);
    if (!s.data) return;
    box.status = s.data; box.readiness = y.data ?? box.readiness; box.readings = r.data ?? box.readings;
    box.alarms = a.data ?? box.alarms; box.faults = f.data ?? box.faults; box.soundings = n.data ?? box.soundings;
    setNow(s.data.now);
    heard();
  } catch { /* told by the watch below */ }
}

/** Begins to follow the box; ends by what it gives. */
export function follow(): () => void {
  let asking = false, tried = performance.now();
  listen();
  const watch = setInterval(async () => {
    if (document.hidden) return;
    const quiet = performance.now() - Math.max(box.heard, began);
    if (quiet > lostAfter) box.link = "lost";
    // A stream that is dead without having said so is begun anew; meanwhile states are asked for.
    if (quiet > lostAfter && performance.now() - tried > pause && !asking) {
      tried = performance.now();
      asking = true;
      await look();
      asking = false;
      if (source?.readyState === EventSource.CLOSED || quiet > 3 * lostAfter) listen();
    }
  }, 250);
  const began = performance.now();
  const shown = () => { if (!document.hidden) listen(); else source?.close(); };
  document.addEventListener("visibilitychange", shown);
  refreshSession();
  return () => { clearInterval(watch); source?.close(); document.removeEventListener("visibilitychange", shown); };
}

/** Asks who is signed in. */
export async function refreshSession() {
  if (asking) return;
  asking = true;
  try {
    const s = await api.GET("/api/v1/session");
    if (s.data) box.session = s.data;
  } catch { /* a viewer until the box says otherwise */ }
  asking = false;
}
let asking = false;

const ranks = ["nobody", "viewer", "cadre", "operator", "technician", "owner"];
/** The tone of a level's code: what the box's own table of levels says, red where it says nothing. */
export function tone(level: string): string {
  if (!level) return "calm";
  const c = box.readiness?.levels?.find((l) => l.code === level)?.colour ?? "red";
  return ["blue", "yellow", "orange", "red"].includes(c) ? c : "red";
}

/** Whether who is signed in has at least a role; the box refuses the rest anyway. */
export function may(role: string): boolean {
  return ranks.indexOf(box.session?.role ?? "viewer") >= ranks.indexOf(role);
}
