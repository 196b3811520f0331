import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { defineConfig, type Plugin } from "vite";

const OUT = "../cxr_jax/web/page";

/** sw.js, which names every file of the page and the digest of them all. */
function serviceWorker(): Plugin {
  let out = OUT;
  return {
    name: "service-worker",
    apply: "build",
    configResolved(config) {
      out = config.build.outDir;
    },
    closeBundle() {
      const files = readdirSync(out, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !["sw.js", "LICENSES.txt"].includes(entry.name))
        .map((entry) => relative(out, join(entry.parentPath, entry.name)))
        .sort();
      const digest = createHash("sha256");
      for (const file of files) digest.update(file).update(readFileSync(join(out, file)));
      const list = ["./", ...files.filter((file) => file !== "index.html")];
      const script = readFileSync("src/sw.js", "utf8")
        .replace("__DIGEST__", digest.digest("hex").slice(0, 16))
        .replace("__FILES__", JSON.stringify(list, undefined, 2));
      writeFileSync(join(out, "sw.js"), script);
      writeFileSync(join(out, "LICENSES.txt"), licences());
    },
  };
}

/** What the built page contains, and under which terms. */
function licences(): string {
  const parts = readdirSync("licences")
    .sort()
    .map((name) => readFileSync(join("licences", name), "utf8").trim());
  return `${parts.join(`\n\n${"=".repeat(78)}\n\n`)}\n`;
}

export default defineConfig({
  base: "./",
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"] },
  plugins: [serviceWorker()],
  worker: { format: "es" },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
