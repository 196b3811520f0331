/** The files of the bundle that the page lies in, checked against their checksums. */

const NEEDED = ["bundle.json", "preprocess.json", "model.onnx"] as const;

export interface Files {
  bundle: unknown;
  preprocess: unknown;
  gate: unknown; // undefined where the bundle has none
  model: Uint8Array;
  /** Whether every file is the one of SHA256SUMS; undefined where that cannot be told. */
  checked: boolean | undefined;
}

/** Fetches and checks the bundle. Throws Error whose text is for the reader. */
export async function loadBundle(): Promise<Files> {
  const sums = await fetched("SHA256SUMS").catch(() => undefined);
  const expected = sums && sumsOf(new TextDecoder().decode(sums));
  const kept = new Map<string, Uint8Array>();
  for (const name of NEEDED) kept.set(name, await fetched(name));
  const gated = expected ? expected.has("gate.json") : true;
  const gate = gated ? await fetched("gate.json").catch(() => undefined) : undefined;
  if (gate) kept.set("gate.json", gate);
  const checked = expected && (await check(kept, expected));
  if (sums && checked) await remember(sums, kept).catch(() => undefined); // no room: it works online
  return {
    bundle: json("bundle.json", kept),
    preprocess: json("preprocess.json", kept),
    gate: gate && json("gate.json", kept),
    model: kept.get("model.onnx")!,
    checked,
  };
}

async function fetched(name: string): Promise<Uint8Array> {
  const response = await fetch(`../${name}`, { cache: "no-cache" }).catch(() => undefined);
  if (!response?.ok)
    throw new Error(
      `${name} is not beside this page (${response ? response.status : "no answer"}). ` +
        "Show a bundle with: python -m cxr_jax.main --mode=view --bundle=FOLDER",
    );
  return new Uint8Array(await response.arrayBuffer());
}

function json(name: string, files: Map<string, Uint8Array>): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(files.get(name)));
  } catch {
    throw new Error(`${name} is damaged. Export the model again.`);
  }
}

/** {name: digest} of sha256sum's format. */
function sumsOf(text: string): Map<string, string> {
  const lines = text.split("\n").map((line) => /^([0-9a-f]{64}) [ *](.+)$/.exec(line));
  return new Map(lines.flatMap((found) => (found ? [[found[2]!.replace(/^\.\//, ""), found[1]!]] : [])));
}

async function digest(data: Uint8Array): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", data as BufferSource));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function check(files: Map<string, Uint8Array>, expected: Map<string, string>): Promise<boolean | undefined> {
  if (!self.isSecureContext) return undefined; // browsers compute no digests then
  for (const [name, data] of files)
    if ((await digest(data)) !== expected.get(name))
      throw new Error(`${name} is not the file that SHA256SUMS lists: it was changed or cut. Copy the bundle again.`);
  return true;
}

/** Keeps the files for a start without a network, under the digest of their checksums. */
async function remember(sums: Uint8Array, files: Map<string, Uint8Array>): Promise<void> {
  if (!("caches" in self)) return;
  const name = `bundle-${new URL("..", location.href).pathname}-${(await digest(sums)).slice(0, 16)}`;
  const prefix = name.slice(0, -16);
  for (const old of await caches.keys()) if (old.startsWith(prefix) && old !== name) await caches.delete(old);
  const cache = await caches.open(name);
  for (const [file, data] of [...files, ["SHA256SUMS", sums] as const])
    await cache.put(new URL(`../${file}`, location.href), new Response(data as BodyInit));
  await cache.add(new URL("../card.html", location.href)).catch(() => undefined);
}
