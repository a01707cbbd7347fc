// What the audit has in the place of an act where it counts refusals together, in the reader's words.
import { t } from "./i18n/index.svelte";

/** Gives the words; undefined where it is an act itself. */
export function counted(op: string): string | undefined {
  if (op === "refused to one account") return t("lib.op_refused_account");
  if (op === "refused strangers") return t("lib.op_refused_strangers");
  return undefined;
}
