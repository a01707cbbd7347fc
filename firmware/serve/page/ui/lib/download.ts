// Gives the reader a file that was made here.
export function download(name: string, type: string, text: string) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Rows as CSV with a byte order mark, so that spreadsheets read the Chinese; a cell never begins a formula. */
export function csv(rows: (string | number)[][]): string {
  const cell = (v: string | number) => {
    const s = String(v), t = /^[=+\-@\t\r]/.test(s) && typeof v === "string" ? "'" + s : s;
    return /[",\n\r]/.test(t) ? `"${t.replaceAll('"', '""')}"` : t;
  };
  return "\uFEFF" + rows.map((r) => r.map(cell).join(",")).join("\r\n") + "\r\n";
}
