import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

// One console a run: the station's, or with --mode county the county's. Each has a folder of its own in dist, so that
// neither program carries what only the other one shows.
export default defineConfig(({ mode }) => {
  const console = mode === "county" ? "county" : "station";
  const out = resolve(import.meta.dirname, "dist", console);
  return {
    root: resolve(import.meta.dirname, console),
    base: "./",
    publicDir: false,
    plugins: [svelte({ configFile: false, compilerOptions: { runes: true } }), pack(out)],
    build: {
      outDir: out,
      emptyOutDir: false, // the placeholder stays; pack clears the rest
      target: "es2020",
      cssTarget: "chrome80",
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0, // nothing as a data: URL, the page's policy forbids it
      reportCompressedSize: false,
    },
  };
});

// pack keeps every built file gzipped only, the same bytes for the same sources.
function pack(out: string): Plugin {
  const keep = "placeholder.html";
  return {
    name: "pack",
    apply: "build",
    buildStart() {
      mkdirSync(out, { recursive: true });
      for (const f of readdirSync(out)) if (f !== keep) rmSync(join(out, f), { recursive: true });
    },
    closeBundle() {
      const walk = (dir: string) => {
        for (const f of readdirSync(dir).sort()) {
          const p = join(dir, f);
          if (statSync(p).isDirectory()) walk(p);
          else if (f !== keep && !f.endsWith(".gz")) {
            const b = gzipSync(readFileSync(p), { level: 9 });
            writeFileSync(p + ".gz", b);
            rmSync(p);
          }
        }
      };
      walk(out);
    },
  };
}
