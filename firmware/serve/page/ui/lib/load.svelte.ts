// What a view asks of the box now and then: let x = load(() => api.GET("/api/v1/links"), 5000);
// x.data is the newest answer, x.why why the last one was refused. It is asked again each `every`
// milliseconds while the view is there and the page is seen; what was had stays where the link breaks.
import { act, type Refusal } from "./api/act";

export function load<T>(call: () => Promise<{ data?: T; error?: unknown; response: Response }>, every = 0) {
  const x = $state<{ data?: T; why?: Refusal; waiting: boolean }>({ waiting: true });
  let round = 0;
  async function again() {
    const mine = ++round;
    const r = await act(call());
    if (mine !== round) return;
    if (r.ok) { x.data = r.data; x.why = undefined; }
    else x.why = r.why;
    x.waiting = false;
  }
  $effect(() => {
    void again();
    if (!every) return;
    const timer = setInterval(() => { if (!document.hidden) void again(); }, every);
    return () => clearInterval(timer);
  });
  return { get data() { return x.data; }, get why() { return x.why; }, get waiting() { return x.waiting; }, again };
}
