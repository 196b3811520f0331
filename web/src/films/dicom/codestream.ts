/** Compressed grey frames: the header of a codestream, and its samples. */

import { decodeFrame, decodeLossless } from "../codecs";
import { AGAIN, FilmError } from "../film";
import { dataOfScan, segments } from "../jpeg";

const J2K = [0xff, 0x4f, 0xff, 0x51]; // SOC and SIZ
const JP2 = [0, 0, 0, 0x0c, 0x6a, 0x50, 0x20, 0x20, 0x0d, 0x0a, 0x87, 0x0a]; // a file around a codestream
const SCAN = 0xda;
// ITU-T T.81, table B.1; T.87, C.1.1.
const SOF: Record<number, Codestream["kind"]> = { 0xc0: "JPEG", 0xc1: "JPEG", 0xc3: "JPEG Lossless", 0xf7: "JPEG-LS" };
const HOLE = 4096; // bytes that a copy leaves where a block of the disk was not written
const TAIL = 8; // bytes of a JPEG that are replaced to see whether they were used

/** What the header of a compressed frame says. */
export interface Codestream {
  kind: "JPEG" | "JPEG Lossless" | "JPEG-LS" | "JPEG 2000";
  rows: number;
  columns: number;
  components: number;
  bits: number;
  signed: boolean;
}

export type Samples = Uint8Array | Uint16Array;

/** Whether data begin as a JPEG, JPEG-LS or JPEG 2000 does. */
export function isCodestream(data: Uint8Array): boolean {
  return begins(data, [0xff, 0xd8, 0xff]) || begins(data, J2K) || begins(data, JP2);
}

/** The header of a frame. Throws for an unsupported format. */
export function readCodestream(frame: Uint8Array): Codestream {
  const stream = begins(frame, [0xff, 0xd8])
    ? jpegHeader(frame)
    : begins(frame, J2K) || begins(frame, JP2)
      ? jpeg2000Header(frame)
      : undefined;
  if (!stream)
    throw new FilmError(
      "compressed pixel data in an unknown format",
      "Supported are JPEG (baseline, extended of 8 bits, lossless), JPEG-LS, JPEG 2000, RLE: " +
        "export the file uncompressed (dcmtk: dcmdjpeg; gdcmconv --raw).",
    );
  return stream;
}

/** Samples in two's complement, one or two bytes each. Throws if detectably damaged. */
export async function decode(whole: Uint8Array, stream: Codestream): Promise<Samples> {
  const { kind } = stream;
  const frame = withoutPadding(whole, stream);
  if (kind === "JPEG" && stream.bits > 8)
    throw new FilmError(
      `a JPEG of ${stream.bits} bits, which this page does not read`,
      "Score it with python -m cxr_jax.main --mode=predict, or export it uncompressed (dcmtk: dcmdjpeg).",
    );
  const damaged = (found: string) => new FilmError(`a damaged ${kind} frame${found}`, AGAIN);
  // Its encoder never writes such a run, and OpenJPEG decodes it as faint detail.
  if (kind === "JPEG 2000" && hasHole(frame)) throw damaged(" (a hole of zeros)");
  if (kind === "JPEG Lossless") return lossless(frame, stream, damaged);
  let found;
  try {
    found = await decodeFrame(kind, frame);
  } catch {
    throw damaged("");
  }
  const width = found.bitsPerSample > 8 ? 2 : 1;
  const size = stream.rows * stream.columns;
  if (found.width !== stream.columns || found.height !== stream.rows || found.bytes.length < size * width)
    throw damaged(` (${found.height} x ${found.width})`);
  if (kind === "JPEG" && found.complaints.length) throw damaged(": its data ends before or after the image");
  return width === 1 ? found.bytes.subarray(0, size) : new Uint16Array(found.bytes.buffer, 0, size);
}

function lossless(frame: Uint8Array, stream: Codestream, damaged: (found: string) => FilmError): Samples {
  const scan = [...segments(frame)].find((segment) => segment.marker === SCAN)!;
  if (frame[scan.at + scan.size - 1]! & 15)
    throw new FilmError(
      "a JPEG Lossless frame with a point transform, which this page does not read",
      "Score it with python -m cxr_jax.main --mode=predict, or export it uncompressed (dcmtk: dcmdjpeg).",
    );
  const predictor = frame[scan.at + scan.size - 3]!;
  if (predictor < 1 || predictor > 7) throw damaged(` (predictor ${predictor})`);
  let pixels: Samples;
  try {
    pixels = decodeLossless(frame, stream.bits);
  } catch {
    throw damaged("");
  }
  if (pixels.length !== stream.rows * stream.columns) throw damaged("");
  if (!usesAll(frame, stream, pixels)) throw damaged(": its data ends before or after the image");
  return pixels;
}

/**
 * Whether a lossless image uses the frame's data exactly up to its end: the last bytes are
 * replaced and decoded again, and the end of the image must change, and nothing before it.
 */
function usesAll(frame: Uint8Array, stream: Codestream, pixels: Samples): boolean {
  const end = frame.length - 2;
  const data = dataOfScan(frame);
  let cut = Math.max(end - TAIL, data);
  while (cut > data && frame[cut - 1] === 0xff) cut--; // keep marker and stuffing whole
  const tail = frame.subarray(cut, end).map((byte) => (byte === 0x55 ? 0x2a : byte ^ 0xaa));
  const other = new Uint8Array(cut + 2 * tail.length + 2);
  other.set(frame.subarray(0, cut));
  other.set(tail, cut);
  other.set(tail, cut + tail.length);
  other.set([0xff, 0xd9], other.length - 2);
  let changed: Samples;
  try {
    changed = decodeLossless(other, stream.bits);
  } catch {
    return true; // the other bits are no code of its table: they are used
  }
  const rows = Math.max(stream.rows - Math.ceil((8 * tail.length) / stream.columns) - 1, 0);
  const first = rows * stream.columns;
  const differs = (from: number, to: number) => {
    for (let k = from; k < to; k++) if (pixels[k] !== changed[k]) return true;
    return false;
  };
  return !differs(0, first) && differs(first, pixels.length);
}

function jpegHeader(frame: Uint8Array): Codestream | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  for (const { marker, at } of segments(frame)) {
    if (marker === SCAN) return undefined;
    const kind = SOF[marker];
    if (kind && at + 10 <= frame.length) {
      const [rows, columns] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      return { kind, rows, columns, components: frame[at + 9]!, bits: frame[at + 4]!, signed: false };
    }
    // Progressive, hierarchical or arithmetic.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return undefined;
  }
  return undefined;
}

/** The SIZ segment (ITU-T T.800, A.5.1). */
function jpeg2000Header(frame: Uint8Array): Codestream | undefined {
  const at = find(frame, J2K, 0);
  if (at < 0 || at + 43 > frame.length) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset + at, 43);
  const [width, height, left, top] = [8, 12, 16, 20].map((place) => view.getUint32(place)) as [
    number,
    number,
    number,
    number,
  ];
  const depth = view.getUint8(42);
  return {
    kind: "JPEG 2000",
    rows: height - top,
    columns: width - left,
    components: view.getUint16(40),
    bits: (depth & 0x7f) + 1,
    signed: (depth & 0x80) !== 0,
  };
}

/** The frame up to its end marker; any bytes may follow it (PS3.5, A.4). */
function withoutPadding(frame: Uint8Array, stream: Codestream): Uint8Array {
  let data: number, end: number;
  if (stream.kind === "JPEG 2000") {
    data = find(frame, [0xff, 0x93], 0);
    // A header between the parts may hold the same bytes by chance.
    const second = find(frame, [0xff, 0xd9, ...J2K], 0);
    end = second >= 0 ? second : lastEnd(frame, Math.max(data, 0));
  } else {
    data = dataOfScan(frame);
    end = find(frame, [0xff, 0xd9], Math.max(data, 0));
  }
  if (data < 0 || end < 0) throw new FilmError(`a truncated ${stream.kind} frame (no end marker)`, AGAIN);
  if (isCodestream(frame.subarray(end + 2)))
    throw new FilmError(
      `a second frame behind the ${stream.kind} frame`,
      "A radiograph has one frame: remove the file, or export one frame.",
    );
  return frame.subarray(0, end + 2);
}

function lastEnd(frame: Uint8Array, from: number): number {
  for (let at = frame.length - 2; at >= from; at--) if (frame[at] === 0xff && frame[at + 1] === 0xd9) return at;
  return -1;
}

function hasHole(frame: Uint8Array): boolean {
  for (let at = frame.indexOf(0); at >= 0; at = frame.indexOf(0, at)) {
    const from = at;
    while (at < frame.length && frame[at] === 0) at++;
    if (at - from >= HOLE) return true;
  }
  return false;
}

function find(data: Uint8Array, pattern: number[], from: number): number {
  for (let at = data.indexOf(pattern[0]!, from); at >= 0; at = data.indexOf(pattern[0]!, at + 1))
    if (begins(data.subarray(at, at + pattern.length), pattern)) return at;
  return -1;
}

function begins(data: Uint8Array, pattern: number[]): boolean {
  return pattern.every((byte, k) => data[k] === byte);
}
