// All English texts as one chunk, asked for where English is read.
export const texts = import.meta.glob<Record<string, string>>("./en/*.json", { eager: true, import: "default" });
