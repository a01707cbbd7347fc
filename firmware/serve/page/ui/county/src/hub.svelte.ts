// What the hub says, kept up to date for every view: read hub.county, hub.session … and the page
// follows. It is asked each second while the page is seen; what did not change costs no body.
import { setNow } from "../../lib/time.svelte";
import { ended, get, type County, type Session, type Station } from "./api";

export const hub = $state<{
  /** Whether the hub answers: waiting for the first answer, up, or lost. */
  link: "waiting" | "up" | "lost";
  session?: Session; county?: County;
}>({ link: "waiting" });

/** After this long without an answer the page says that the hub is out of reach. */
const lostAfter = 2800, every = 1000;
let heard = performance.now(), tag = "", asking = false;

function answered() {
  heard = performance.now();
  hub.link = "up";
}

/** Asks who is signed in. */
export async function refreshSession() {
  try {
    const s = await get<Session>("/session");
    if (s.data) { enter(s.data); answered(); }
  } catch { /* told by the watch below */ }
}

/** Shows the console to who has just signed in, or the sign-in to who has not. */
export function enter(s: Session) {
  if (!s.account) { hub.county = undefined; tag = ""; }
  hub.session = s;
  if (s.account) void look();
}

/** Asks for the county once, and soon where something was just done. */
export async function look() {
  if (asking || !hub.session?.account) return;
  asking = true;
  const c = new AbortController(), timer = setTimeout(() => c.abort(), 2500);
  try {
    const r = await fetch("/api/v1/county", { credentials: "same-origin", signal: c.signal, headers: tag ? { "If-None-Match": tag } : {} });
    if (r.status === 401) { await refreshSession(); return; }
    if (r.status !== 200 && r.status !== 304) return;
    const now = r.headers.get("Tocsin-Now");
    if (now) setNow(now);
    if (r.status === 200) {
      const county = await r.json() as County;
      if (hub.session?.account) { hub.county = county; tag = r.headers.get("ETag") ?? ""; }
    }
    answered();
  } catch { /* as above */ } finally {
    clearTimeout(timer);
    asking = false;
  }
}

/** Begins to follow the hub; ends by what it gives. */
export function follow(): () => void {
  ended.tell = () => { void refreshSession(); };
  void refreshSession();
  let last = 0;
  const watch = setInterval(() => {
    if (document.hidden) { heard = performance.now(); return; }
    const now = performance.now();
    if (now - heard > lostAfter) hub.link = "lost";
    if (now - last < every) return;
    last = now;
    if (hub.session?.account) void look();
    else void refreshSession();
  }, 250);
  return () => clearInterval(watch);
}

const ranks = ["nobody", "viewer", "operator", "owner"];
/** Whether who is signed in has at least a role; the hub refuses the rest anyway. */
export function may(role: string): boolean {
  return ranks.indexOf(hub.session?.role ?? "nobody") >= ranks.indexOf(role);
}

/** A station by its id. */
export function stationOf(id: string): Station | undefined {
  return hub.county?.stations.find((s) => s.id === id);
}
