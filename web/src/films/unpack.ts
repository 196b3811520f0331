/** Deflated data, unpacked by the browser, in full or not at all. */

import { AGAIN, FilmError } from "./film";

/** Deflated data in the browser's own way: of a file, whose length is even, with a byte too many. */
export async function unpackEven(data: Uint8Array, most: number): Promise<Uint8Array | undefined> {
  const found = await unpack(data, "deflate-raw", most);
  // Bytes behind the end are an error to the browser; PS3.5, A.5 fills up with one.
  return found ?? (data.at(-1) === 0 ? unpack(data.subarray(0, -1), "deflate-raw", most) : undefined);
}

/**
 * Unpacks at most `most` bytes.
 *
 * `format`: "deflate" with the header and checksum of zlib, "deflate-raw" without.
 * Returns undefined where the data are cut, damaged, or hold more than that.
 */
export async function unpack(
  data: Uint8Array,
  format: "deflate" | "deflate-raw",
  most: number,
): Promise<Uint8Array | undefined> {
  const stream = new Blob([data as BlobPart]).stream();
  const reader = stream.pipeThrough(new DecompressionStream(format)).getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > most) return undefined;
      parts.push(value);
    }
  } catch (error) {
    if (error instanceof RangeError) throw new FilmError("too large for this browser's memory", AGAIN);
    return undefined;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
