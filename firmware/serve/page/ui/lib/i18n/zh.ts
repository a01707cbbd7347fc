// All Chinese texts as one chunk, asked for where Chinese is read.
export const texts = import.meta.glob<Record<string, string>>("./zh/*.json", { eager: true, import: "default" });
