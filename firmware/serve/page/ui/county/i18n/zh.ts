// Chinese texts of the county's console: the components' own, then its own, which go before them.
export const texts: Record<string, Record<string, string>> = {
  ...import.meta.glob<Record<string, string>>("../../lib/i18n/zh/lib.json", { eager: true, import: "default" }),
  ...import.meta.glob<Record<string, string>>("./zh/*.json", { eager: true, import: "default" }),
};
