/** Run-length coded frames (PS3.5, annex G). */

import { AGAIN, FilmError } from "../film";
import type { Layout } from "./layout";

const HEADER = 64; // bytes
const FEW = 4;

/** Whether a frame has a segment for each byte of a cell, behind a header (G.5). */
export function isRunLength(frame: Uint8Array, layout: Layout): boolean {
  return [layout.width, 0, 0, 0, HEADER, 0, 0, 0].every((byte, k) => frame[k] === byte);
}

/**
 * All bits of the cells, and keys about them; the highest bytes are the first segment.
 *
 * Each row is coded by itself (G.3.1). Where most rows are and some are not, bytes were lost
 * whose length others made up for.
 */
export function decodeRunLength(frame: Uint8Array, layout: Layout) {
  const notes: string[] = [];
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const size = layout.rows * layout.columns;
  if (frame.length < HEADER) throw damaged("no header");
  const starts = Array.from({ length: layout.width }, (_, k) => view.getUint32(4 + 4 * k, true));
  const planes = starts.map((start, k) => {
    const end = starts[k + 1] ?? frame.length;
    if (start < HEADER || start > end || end > frame.length) throw damaged(`a segment from byte ${start} to ${end}`);
    const { plane, whole } = unpacked(frame.subarray(start, end), size, layout.columns);
    const share = whole / layout.rows;
    if (share >= 0.5 && share < 1) notes[0] = "dicom_rle_rows_torn";
    return plane;
  });
  if (layout.width === 1) return { codes: planes[0]!, notes };
  const [high, low] = planes as [Uint8Array, Uint8Array];
  const codes = new Uint16Array(size);
  for (let k = 0; k < size; k++) codes[k] = (high[k]! << 8) | low[k]!;
  return { codes, notes };
}

/** The bytes of a segment (G.3.2), and how many rows end where a code does. A few bytes behind them, or more that are all alike, are padding. */
function unpacked(segment: Uint8Array, size: number, columns: number) {
  const out = new Uint8Array(size);
  const reached = new Set<number>();
  let [length, at] = [0, 0];
  while (length < size && at < segment.length) {
    const code = segment[at]!;
    if (code < 128) {
      const part = segment.subarray(at + 1, at + 2 + code);
      if (length + part.length > size) throw damaged(`a segment of more instead of ${size} bytes`);
      out.set(part, length);
      length += part.length;
      at += 2 + code;
    } else if (code > 128) {
      const count = at + 1 < segment.length ? 257 - code : 0;
      if (length + count > size) throw damaged(`a segment of more instead of ${size} bytes`);
      out.fill(segment[at + 1]!, length, length + count);
      length += count;
      at += 2;
    } else at += 1; // 128 does nothing
    if (length && length % columns === 0) reached.add(length);
  }
  const rest = segment.subarray(at);
  const padding = rest.length <= FEW || rest.subarray(1).every((byte) => byte === rest.at(-1));
  if (length !== size || !padding)
    throw damaged(`a segment of ${rest.length ? "more" : length} instead of ${size} bytes`);
  return { plane: out, whole: reached.size };
}

function damaged(found: string): FilmError {
  return new FilmError(`a damaged RLE frame (${found})`, AGAIN);
}
