// Puts a part of a picture in its place, by the style object: the page's policy forbids style attributes.
import type { Part } from "./pictures.svelte";
export function place(e: HTMLElement, part: Part) {
  const put = (p: Part) => { for (const k of ["left", "top", "width", "height"] as const) e.style.setProperty(k, p[k] * 100 + "%"); };
  put(part);
  return { update: put };
}
