// The hub's API, as cmd/hubd/console writes it: a Go test holds these types to it, field by field.
export type Text = { zh: string; en: string };
export type Role = "nobody" | "viewer" | "operator" | "owner";
export type Session = { account: string; name: string; role: Role; duties: string[]; setup: boolean; open: boolean; lasting: boolean; pictures: boolean; county: Text };
export type Seen = { link: string; at: string };
export type Station = {
  id: string; name: Text; number?: number; seen: Seen[]; late: boolean; state: Text; tone: "calm" | "unsure" | "fault"; state_at?: string;
  open: number; sounding?: string; software: Text; software_bad: boolean; odd: Text[];
};
export type Way = { link: string; at: string; short: boolean };
export type Told = { event: string; at?: string; name: string; signed: Text; bad: boolean; ways: Way[] };
export type Alarm = { id: string; station: string; title: Text; text: Text; kind: string; rank?: number; over: boolean; at: string; messages: Told[] };
export type Step = { link: string; text: Text; at: string };
export type Village = { id: string; name: Text; taken?: string; link?: string; stage?: string; text: Text; why: Text; note?: string; at?: string; steps: Step[] };
export type Warned = { id: string; about: string; by: string; class: Text; at: string; forms: string[]; taken: number; told: number; heard: number; villages: Village[] };
export type Terminal = { name: string; kind: string; id: string; state: Text; good: boolean; waiting: Text; traffic: Text; odd: Text };
export type County = { stations: Station[]; alarms: Alarm[]; sent: Warned[]; terminals: Terminal[]; unknown: number };
export type Measured = { name: Text; text: string };
export type Count = { class: Text; n: number };
export type Strange = { at: string; link: string; id: string; why: Text };
export type Kept = { id: string; class: Text; link: string; at: string; bytes: number };
export type StationDetail = Station & { told: Text[]; values: Measured[]; values_at?: string; letters: Count[]; strange: Strange[]; strayed: number; recent: Kept[] };
export type Place = { id: string; name: Text };
export type Checked = { id: string; about: string; short: boolean; bytes: number; sha256: string; odd: Text[]; ways: Text[]; villages: Place[]; before?: Warned };
export type SentDown = { id: string; sent: number; failed: Place[]; ways: Text[]; error: Text };
export type Account = { account: string; name: string; role: Role; duties: string[]; own: boolean };
export type Accounts = { accounts: Account[]; duties: string[]; roles: Role[] };
export type SignIn = { id: string; account: string; addr: string; since_ns: number; idle_ns: number; own: boolean };
export type Entry = { n: number; at: string; op: string; status: number; addr: string; account?: string; who?: string; target?: string; old?: string; new?: string; times?: number };
export type Problem = { status: number; code: string; zh: string; en: string };

/** How long an answer may take before the hub counts as out of reach; a file that is sent has longer. */
const patience = 8000, longest = 60000;
export type Answer<T> = { data?: T; error?: Problem; response: Response };

/** Told when the hub says that nobody is signed in any more. */
export const ended: { tell: () => void } = { tell: () => {} };

/** Asks with a limit of time; what fails to arrive rejects. */
export async function call<T>(method: string, path: string, body?: object): Promise<Answer<T>> {
  const c = new AbortController(), file = body instanceof FormData;
  const timer = setTimeout(() => c.abort(), file ? longest : patience);
  try {
    const response = await fetch(path, {
      method, signal: c.signal, credentials: "same-origin",
      ...(body ? { body: file ? body : JSON.stringify(body), headers: file ? undefined : { "Content-Type": "application/json" } } : {}),
    });
    const json = response.headers.get("Content-Type")?.includes("json") ? await response.json() as unknown : undefined;
    if (response.ok) return { data: json as T, response };
    if (response.status === 401 && (json as Problem | undefined)?.code === "county.sign_in_first") ended.tell();
    return { error: json as Problem, response };
  } finally {
    clearTimeout(timer);
  }
}

export const get = <T>(path: string) => call<T>("GET", "/api/v1" + path);
export const post = <T>(path: string, body: object = {}) => call<T>("POST", "/api/v1" + path, body);
