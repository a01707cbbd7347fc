// Short news at the foot of the page: tell("…") after something was done.
export type Toast = { id: number; text: string; tone: "calm" | "fault" };
export const toasts = $state<Toast[]>([]);
let next = 1;

/** Shows a line for some seconds; what failed stays longer. */
export function tell(text: string, tone: Toast["tone"] = "calm") {
  const id = next++;
  toasts.push({ id, text, tone });
  if (toasts.length > 3) toasts.shift();
  setTimeout(() => dismiss(id), tone === "fault" ? 12000 : 5000);
}
export function dismiss(id: number) {
  const i = toasts.findIndex((x) => x.id === id);
  if (i >= 0) toasts.splice(i, 1);
}
