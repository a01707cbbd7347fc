// Three looks: light, sun (black on white for bright sunlight) and dark (night duty); what the
// phone prefers until somebody chooses.
import { keep, read } from "./i18n/index.svelte";

export type Theme = "light" | "sun" | "dark";
export const themes: Theme[] = ["light", "sun", "dark"];
const key = "tocsin.theme";
export const look = $state<{ theme: Theme }>({ theme: first() });

function first(): Theme {
  const asked = new URLSearchParams(location.search).get("theme") ?? read(key);
  if (themes.includes(asked as Theme)) return asked as Theme;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Shows a look from now on, and keeps the choice. */
export function wear(theme: Theme, chosen = true) {
  look.theme = theme;
  document.documentElement.dataset.theme = theme;
  if (chosen) keep(key, theme);
}
