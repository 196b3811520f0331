/* Works without a network: the page under the digest of its files, the bundle as it was. */

const DIGEST = "63fef2d7d85257fb";
const FILES = [
  "./",
  "assets/charlswasm_decode-CEN7ucFR.wasm",
  "assets/index-_ucd8joN.js",
  "assets/index-hWHcShT_.css",
  "assets/libjpegturbowasm_decode-_5_Q5Tc9.wasm",
  "assets/openjpegwasm_decode-BP3l1OXH.wasm",
  "assets/ort-wasm-simd-threaded-DcHrbrbl.wasm",
  "assets/ort-wasm-simd-threaded-qyIweqWS.mjs",
  "assets/worker-C11avb1D.js",
  "icon-192.png",
  "icon-512.png",
  "icon.svg",
  "manifest.webmanifest"
];
const CACHE = `page-${new URL("./", location.href).pathname}-${DIGEST}`;
const PREFIX = CACHE.slice(0, -DIGEST.length);

self.addEventListener("install", (event) => {
  const fill = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
    await self.skipWaiting();
  };
  event.waitUntil(fill());
});

self.addEventListener("activate", (event) => {
  const renew = async () => {
    for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(renew());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request, { ignoreSearch: true, ignoreVary: true });
  if (known) return isolated(known);
  try {
    return isolated(await fetch(request));
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true, ignoreVary: true });
    if (kept) return isolated(kept);
    throw error;
  }
}

/* Threads need a page that is isolated; most static servers do not say so. */
function isolated(response) {
  if (response.type === "opaque" || response.status === 0 || response.status === 304) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
