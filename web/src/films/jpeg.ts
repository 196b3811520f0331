/** The structure of a JPEG (ITU-T T.81): its markers, size, orientation and end. */

import { ofTiff, UPRIGHT } from "./orientation";

const SCAN = 0xda;
// Table B.1: frame headers, and what they are the beginning of.
export const FRAMES: Record<number, string> = {
  0xc0: "baseline JPEG",
  0xc1: "extended JPEG",
  0xc2: "progressive JPEG",
  0xc3: "lossless JPEG",
  0xc9: "JPEG with arithmetic coding",
  0xca: "JPEG with arithmetic coding",
  0xcb: "JPEG with arithmetic coding",
  0xf7: "JPEG-LS",
};
const HIERARCHICAL = [0xc5, 0xc6, 0xc7, 0xcd, 0xce, 0xcf];
const COEFFICIENTS = 64;

export interface Jpeg {
  kind: string;
  rows: number;
  columns: number;
  components: number;
  bits: number;
  orientation: number;
  /** Scans for everything, and an end marker. */
  whole: boolean;
}

interface Segment {
  marker: number;
  at: number;
  size: number;
}

/** What a JPEG says; undefined where it has no frame header. */
export function readJpeg(data: Uint8Array): Jpeg | undefined {
  let found: Omit<Jpeg, "orientation" | "whole"> | undefined;
  let orientation = UPRIGHT;
  let ends = false;
  let missing = new Map<number, number[]>(); // component: lowest bit seen of each coefficient
  for (const { marker, at, size } of segments(data)) {
    const body = data.subarray(at + 4, at + size);
    if (marker === 0xd9) ends = true;
    else if (marker === 0xe1 && String.fromCharCode(...body.subarray(0, 6)) === "Exif\0\0")
      orientation = ofTiff(body.subarray(6));
    else if ((marker in FRAMES || HIERARCHICAL.includes(marker)) && body.length >= 6) {
      const [bits, y1, y0, x1, x0, components] = body as unknown as number[];
      const kind = FRAMES[marker] ?? "hierarchical JPEG";
      found = { kind, rows: (y1! << 8) | y0!, columns: (x1! << 8) | x0!, components: components!, bits: bits! };
      missing = new Map();
      for (let k = 0; k < components! && 6 + 3 * k < body.length; k++)
        missing.set(body[6 + 3 * k]!, new Array<number>(COEFFICIENTS).fill(99));
    } else if (marker === SCAN) noteScan(body, missing);
  }
  return found && { ...found, orientation, whole: ends && covered(found.kind, missing) };
}

/** Segments up to the end marker, or to where none follows; data of a scan are stepped over. */
export function* segments(data: Uint8Array): Generator<Segment> {
  let at = 2;
  while (at + 2 <= data.length && data[at] === 0xff) {
    const marker = data[at + 1]!;
    if (marker === 0xff) {
      at += 1; // fill byte
      continue;
    }
    if (marker === 0xd9) {
      yield { marker, at, size: 2 };
      return;
    }
    if (at + 4 > data.length) return;
    const size = 2 + ((data[at + 2]! << 8) | data[at + 3]!);
    yield { marker, at, size };
    at += size;
    if (marker === SCAN) at = nextMarker(data, at);
  }
}

/** Where the coded data of the first scan begin; -1 if nowhere. */
export function dataOfScan(data: Uint8Array): number {
  for (const { marker, at, size } of segments(data)) if (marker === SCAN) return at + size;
  return -1;
}

/** Where the data of a scan end: at a marker other than a restart (B.1.1.5). */
function nextMarker(data: Uint8Array, at: number): number {
  for (let i = data.indexOf(0xff, at); i >= 0 && i + 1 < data.length; i = data.indexOf(0xff, i + 1)) {
    const next = data[i + 1]!;
    if (next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7)) return i;
  }
  return data.length;
}

/** Notes the coefficients, and their lowest bit, that a scan holds (B.2.3). */
function noteScan(body: Uint8Array, missing: Map<number, number[]>): void {
  const count = body[0] ?? 0;
  if (body.length < 4 + 2 * count) return;
  const first = body[1 + 2 * count]!;
  const last = Math.min(body[2 + 2 * count]!, COEFFICIENTS - 1);
  const bits = body[3 + 2 * count]! & 15;
  for (let k = 0; k < count; k++) {
    const lowest = missing.get(body[1 + 2 * k]!);
    if (lowest) for (let c = first; c <= last; c++) lowest[c] = Math.min(lowest[c]!, bits);
  }
}

/** Whether there is a scan for every component, to the last bit if progressive. */
function covered(kind: string, missing: Map<number, number[]>): boolean {
  const all = [...missing.values()];
  if (kind === "progressive JPEG") return all.every((lowest) => lowest.every((bit) => bit === 0));
  return all.every((lowest) => lowest[0]! < 99);
}
