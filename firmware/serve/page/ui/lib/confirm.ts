// A change on trial is confirmed once the box runs with it: until then the box refuses, and it is asked again.
import { act } from "./api/act";
import { api } from "./api/client";

const again = 500, most = 20;

/** Confirms a revision with the word that proposed it. */
export async function confirmed(number: number, session: string) {
  for (let i = 1; ; i++) {
    const r = await act(api.POST("/api/v1/config/revisions/{number}/confirm", { params: { path: { number } }, body: { session } }));
    if (r.ok || !("code" in r.why) || r.why.code !== "revision.early" || i >= most) return r;
    await new Promise((wake) => setTimeout(wake, again));
  }
}
