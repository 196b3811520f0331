/** PNG (ISO/IEC 15948) at its own depth: a browser's own decoder keeps 8 bits only. */

import { AGAIN, checkPixels, FilmError } from "./film";
import { ofTiff, UPRIGHT } from "./orientation";
import { unpack } from "./unpack";

export const MARK = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Samples of every pixel, side by side: grey, grey and opacity, RGB, or RGBA. */
export interface Samples {
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
  data: Uint8Array | Uint16Array;
  orientation: number;
}

interface Head {
  width: number;
  height: number;
  bits: number;
  colour: number;
  samples: number;
  interlaced: boolean;
}

const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
// Adam7: first row and column of each pass, and the steps between (8.2).
const ADAM7 = [
  [0, 0, 8, 8],
  [0, 4, 8, 8],
  [4, 0, 8, 4],
  [0, 2, 4, 4],
  [2, 0, 4, 2],
  [0, 1, 2, 2],
  [1, 0, 2, 1],
] as const;

/** The samples of a PNG. Throws FilmError where it is not whole. */
export async function readPng(file: Uint8Array): Promise<Samples> {
  const damaged = new FilmError(`a truncated or damaged image (${file.length} bytes)`, AGAIN);
  const chunks = [...readChunks(file)];
  const last = chunks.at(-1);
  const first = chunks[0];
  if (!first || first.name !== "IHDR" || first.data.length !== 13 || last?.name !== "IEND") throw damaged;
  const head = readHead(first.data);
  if (!head) throw damaged;
  checkPixels(head.height, head.width);
  const size = passes(head).reduce((sum, pass) => sum + pass.height * (1 + pass.bytes), 0);
  const packed = new Uint8Array(await new Blob(of(chunks, "IDAT") as BlobPart[]).arrayBuffer());
  const rows = await unpack(packed, "deflate", size);
  if (rows?.length !== size) throw damaged;
  const samples = unfiltered(head, rows, damaged);
  const palette = of(chunks, "PLTE")[0];
  const opacity = of(chunks, "tRNS")[0];
  const exif = of(chunks, "eXIf")[0];
  const orientation = exif ? ofTiff(exif) : UPRIGHT;
  const { width, height } = head;
  if (head.colour !== 3) {
    const channels = head.samples as 1 | 2 | 3 | 4;
    return { width, height, channels, data: spread(head, samples), orientation };
  }
  if (!palette) throw damaged;
  return { width, height, ...coloured(samples, palette, opacity, damaged), orientation };
}

interface Chunk {
  name: string;
  data: Uint8Array;
}

/** Chunks up to IEND, or to the first that is damaged. */
function* readChunks(file: Uint8Array): Generator<Chunk> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = MARK.length; at + 12 <= file.length; ) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > file.length) return;
    if (crc(file.subarray(at + 4, end - 4)) !== view.getUint32(end - 4)) return;
    const name = String.fromCharCode(...file.subarray(at + 4, at + 8));
    yield { name, data: file.subarray(at + 8, end - 4) };
    if (name === "IEND") return;
    at = end;
  }
}

function of(chunks: Chunk[], name: string): Uint8Array[] {
  return chunks.filter((chunk) => chunk.name === name).map((chunk) => chunk.data);
}

function readHead(data: Uint8Array): Head | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [bits, colour, , , interlace] = data.subarray(8);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const samples = SAMPLES[colour!];
  if (!width || !height || !samples || ![1, 2, 4, 8, 16].includes(bits!)) return undefined;
  return { width, height, bits: bits!, colour: colour!, samples, interlaced: interlace === 1 };
}

interface Pass {
  top: number;
  left: number;
  down: number;
  across: number;
  width: number;
  height: number;
  bytes: number; // of a row
}

function passes(head: Head): Pass[] {
  const found = [];
  for (const [top, left, down, across] of head.interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const)) {
    const height = Math.ceil((head.height - top) / down);
    const width = Math.ceil((head.width - left) / across);
    const bytes = Math.ceil((width * head.samples * head.bits) / 8);
    if (height > 0 && width > 0) found.push({ top, left, down, across, width, height, bytes });
  }
  return found;
}

/** Samples as they are stored, one a number, in the order of the picture. */
function unfiltered(head: Head, rows: Uint8Array, damaged: FilmError): Uint8Array | Uint16Array {
  const { samples, bits } = head;
  const size = head.width * head.height * samples;
  const out = bits === 16 ? new Uint16Array(size) : new Uint8Array(size);
  const step = Math.max((samples * bits) >> 3, 1);
  let at = 0;
  for (const pass of passes(head)) {
    let above: Uint8Array = new Uint8Array(pass.bytes);
    for (let y = 0; y < pass.height; y++) {
      const filter = rows[at++]!;
      const row = rows.subarray(at, at + pass.bytes);
      if (filter > 4) throw damaged;
      unfilter(filter, row, above, step);
      const line = (pass.top + y * pass.down) * head.width * samples;
      place(head, pass, row, out, line);
      above = row;
      at += pass.bytes;
    }
  }
  return out;
}

/** Undoes the filter of a row, in its place (9.2). */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, step: number): void {
  const n = row.length;
  if (filter === 1) for (let i = step; i < n; i++) row[i]! += row[i - step]!;
  else if (filter === 2) for (let i = 0; i < n; i++) row[i]! += above[i]!;
  else if (filter === 3)
    for (let i = 0; i < n; i++) row[i]! += ((i < step ? 0 : row[i - step]!) + above[i]!) >> 1;
  else if (filter === 4)
    for (let i = 0; i < n; i++) {
      const left = i < step ? 0 : row[i - step]!;
      const up = above[i]!;
      const corner = i < step ? 0 : above[i - step]!;
      const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
      row[i]! += a <= b && a <= c ? left : b <= c ? up : corner;
    }
}

/** Puts the samples of a row where they belong. */
function place(head: Head, pass: Pass, row: Uint8Array, out: Uint8Array | Uint16Array, line: number): void {
  const { samples, bits } = head;
  const count = pass.width * samples;
  const mask = (1 << bits) - 1;
  for (let i = 0; i < count; i++) {
    const value =
      bits === 8
        ? row[i]!
        : bits === 16
          ? (row[2 * i]! << 8) | row[2 * i + 1]!
          : (row[(i * bits) >> 3]! >> (8 - bits - ((i * bits) & 7))) & mask;
    const x = pass.across === 1 ? i : (pass.left + Math.floor(i / samples) * pass.across) * samples + (i % samples);
    out[line + x] = value;
  }
}

/** Fewer than 8 bits as 8: the largest value is white. */
function spread(head: Head, samples: Uint8Array | Uint16Array): Uint8Array | Uint16Array {
  if (head.bits >= 8) return samples;
  const factor = 255 / ((1 << head.bits) - 1);
  return samples.map((value) => value * factor);
}

/** The colours of a palette; with opacity where it has some. */
function coloured(indices: Uint8Array | Uint16Array, palette: Uint8Array, opacity: Uint8Array | undefined, damaged: FilmError) {
  const channels = opacity ? (4 as const) : (3 as const);
  const data = new Uint8Array(indices.length * channels);
  let at = 0;
  for (const index of indices) {
    if (3 * index + 2 >= palette.length) throw damaged;
    for (let k = 0; k < 3; k++) data[at++] = palette[3 * index + k]!;
    if (opacity) data[at++] = opacity[index] ?? 255;
  }
  return { channels, data };
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc(data: Uint8Array): number {
  let value = ~0;
  for (let i = 0; i < data.length; i++) value = CRC[(value ^ data[i]!) & 255]! ^ (value >>> 8);
  return ~value >>> 0;
}
