// What the box says of itself, kept up to date for every view: read box.status, box.readings …
// and the page follows. Asked each two seconds.
import { api, type Schemas } from "./api/client";
import { setNow } from "./time.svelte";

export type Status = Schemas["Status"];
export type Reading = Schemas["Reading"];
export type Alarm = Schemas["Alarm"];
export type Fault = Schemas["Fault"];
export type Soundings = Schemas["Soundings"];
export type Session = Schemas["Session"];

export const box = $state<{
  /** Whether the box answers: waiting for the first answer, up, or lost. */
  link: "waiting" | "up" | "lost";
  /** When it last answered, by the phone's monotonic clock. */
  heard: number;
  status?: Status; readings?: Reading[]; alarms?: Alarm[]; faults?: Fault[]; soundings?: Soundings; session?: Session;
}>({ link: "waiting", heard: 0 });

const pause = 1000;
/** After this long without an answer the page says that the box is out of reach. */
const lostAfter = 2800;

async function look() {
  try {
    const [s, r, a, f, n] = await Promise.all([
      api.GET("/api/v1/status"), api.GET("/api/v1/readings"), api.GET("/api/v1/alarms"), api.GET("/api/v1/faults"), api.GET("/api/v1/soundings"),
    ]);
    if (!s.data) return;
    box.status = s.data; box.readings = r.data ?? box.readings; box.alarms = a.data ?? box.alarms; box.faults = f.data ?? box.faults; box.soundings = n.data ?? box.soundings;
    setNow(s.data.now);
    heard();
  } catch { /* told by the watch below */ }
}

function heard() {
  box.heard = performance.now();
  box.link = "up";
}

/** Begins to follow the box; ends by what it gives. */
export function follow(): () => void {
  let on = true;
  const began = performance.now();
  (async () => {
    while (on) {
      if (!document.hidden) await look();
      await new Promise((r) => setTimeout(r, pause));
    }
  })();
  const watch = setInterval(() => {
    if (!document.hidden && performance.now() - Math.max(box.heard, began) > lostAfter) box.link = "lost";
  }, 250);
  document.addEventListener("visibilitychange", look);
  refreshSession();
  return () => { on = false; clearInterval(watch); document.removeEventListener("visibilitychange", look); };
}

/** Asks who is signed in. */
export async function refreshSession() {
  try {
    const s = await api.GET("/api/v1/session");
    if (s.data) box.session = s.data;
  } catch { /* a viewer until the box says otherwise */ }
}

const ranks = ["nobody", "viewer", "cadre", "operator", "technician", "owner"];
/** Whether who is signed in has at least a role; the box refuses the rest anyway. */
export function may(role: string): boolean {
  return ranks.indexOf(box.session?.role ?? "viewer") >= ranks.indexOf(role);
}
