// Words: t("live.title") is the key "title" of i18n/{zh,en}/live.json; say() picks the reader's
// language of a text that the box sent. A key that is missing is shown as itself, told by
// data-missing of the root, and fails the build's test.
export type Lang = "zh" | "en";
type Texts = Record<string, Record<string, string>>;
export type Said = { zh?: string; en?: string; code?: string } | null | undefined;

export const langs: Lang[] = ["zh", "en"];
const kept = "tocsin.lang";
export const words = $state<{ lang: Lang; ready: boolean }>({ lang: first(), ready: false });
let texts: Texts = {};

function first(): Lang {
  const asked = new URLSearchParams(location.search).get("lang") ?? read(kept) ?? navigator.language;
  return asked.toLowerCase().startsWith("en") ? "en" : "zh";
}

export function read(key: string): string | null {
  try { return localStorage.getItem(key); } catch { return null; }
}
export function keep(key: string, value: string) {
  try { localStorage.setItem(key, value); } catch { /* a private window keeps nothing */ }
}

type Source = () => Promise<{ texts: Texts }>;
let sources: Record<Lang, Source>;

/** Says where the texts of each language are: each console's own, one chunk a language. */
export function from(zh: Source, en: Source) {
  sources = { zh, en };
}

/** Loads the texts of a language and shows it from then on. */
export async function speak(lang: Lang) {
  const files = (await sources[lang]()).texts;
  const all: Texts = {};
  // What stands later in the list adds to a file of the same name, and goes before it.
  for (const [path, m] of Object.entries(files)) {
    const name = path.slice(path.lastIndexOf("/") + 1, -5);
    all[name] = { ...all[name], ...m };
  }
  texts = all;
  words.lang = lang;
  words.ready = true;
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
}

/** The text of a key, with its places {n} filled. */
export function t(key: string, values?: Record<string, string | number>): string {
  const dot = key.indexOf(".");
  void words.lang;
  let s = texts[key.slice(0, dot)]?.[key.slice(dot + 1)];
  if (s === undefined) {
    if (words.ready && !missed.has(key)) {
      missed.add(key);
      document.documentElement.dataset.missing = [...missed].join(" ");
    }
    return key;
  }
  if (values) s = s.replace(/\{([a-z_]+)\}/g, (all, k: string) => (k in values ? String(values[k]) : all));
  return s;
}
const missed = new Set<string>();

/** Whether a key is there; for codes of the box that may have a word here. */
export function known(key: string): boolean {
  const dot = key.indexOf(".");
  void words.lang;
  return texts[key.slice(0, dot)]?.[key.slice(dot + 1)] !== undefined;
}

/** A text of the box in the reader's language; the other one before nothing. */
export function say(text: Said, other = ""): string {
  if (!text) return other;
  return (words.lang === "zh" ? text.zh || text.en : text.en || text.zh) || other;
}
