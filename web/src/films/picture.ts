/** PNG and JPEG radiographs: read by content, and made grey. */

import { decodeFrame } from "./codecs";
import { AGAIN, checkBytes, checkPixels, type Film, FilmError, full, rint } from "./film";
import { readJpeg } from "./jpeg";
import { UPRIGHT, upright } from "./orientation";
import { MARK, readPng, type Samples } from "./png";

// The mean, over the pixels, of the largest difference between channels, in grey levels of 255.
const COLOUR_TOLERANCE = 3;
const LEAST_OPACITY = 0.99;
// A 16-bit PNG does not say how many of its bits are used.
const DEPTHS = [8, 10, 12, 14, 16];

const READABLE = ["baseline JPEG", "extended JPEG", "progressive JPEG"];
const OTHERS: [string, string][] = [
  ["GIF8", "a GIF"],
  ["BM", "a BMP"],
  ["II*\0", "a TIFF"],
  ["MM\0*", "a TIFF"],
  ["RIFF", "a WebP"],
  ["version https://git-lfs", "a Git LFS pointer, not the file itself"],
  ["<", "a web page or XML, not the file itself"],
  ["%PDF", "a PDF"],
  ["PK", "a zip archive"],
];
const CONVERTIBLE = ["a GIF", "a BMP", "a TIFF", "a WebP"];

/** A PNG or JPEG in grey, at 8 or at most 16 bits. */
export async function readPicture(file: Uint8Array, bits: 8 | 16): Promise<Film> {
  checkBytes(file.length, "a file");
  const samples = await decoded(file);
  const notes = samples.orientation === UPRIGHT ? [] : [`images_turned:${samples.orientation}`];
  const grey = greyOf(samples, notes);
  const depth = full(samples.data) === 255 ? 8 : 16;
  const about = [`${samples.kind}, ${samples.width} x ${samples.height}, ${depth} bits`];
  const film = upright({ width: samples.width, height: samples.height, data: grey }, samples.orientation);
  if (film.data instanceof Uint8Array) return { ...film, notes, about };
  const used = depthOf(film.data);
  notes.push(`images_of_16_bits:${used}`);
  const scale = (bits === 8 ? 255 : 65535) / (2 ** used - 1);
  const data = bits === 8 ? new Uint8Array(film.data.length) : new Uint16Array(film.data.length);
  for (let k = 0; k < data.length; k++) data[k] = rint(film.data[k]! * scale);
  return { ...film, data, notes, about };
}

export function isPng(file: Uint8Array): boolean {
  return MARK.every((byte, k) => file[k] === byte);
}

export function isJpeg(file: Uint8Array): boolean {
  return [0xff, 0xd8, 0xff].every((byte, k) => file[k] === byte);
}

async function decoded(file: Uint8Array): Promise<Samples & { kind: string }> {
  if (isPng(file)) return { ...(await readPng(file)), kind: "PNG" };
  if (isJpeg(file)) return { ...(await decodeJpeg(file)), kind: "JPEG" };
  throw unknown(file);
}

async function decodeJpeg(file: Uint8Array): Promise<Samples> {
  const found = readJpeg(file);
  if (!found) throw damaged(file);
  if (!READABLE.includes(found.kind) || found.bits !== 8)
    throw new FilmError(
      `an unsupported format: ${found.kind}, ${found.bits} bits`,
      "Convert it to PNG (lossless, 8 or 16 bits).",
    );
  if (found.components !== 1 && found.components !== 3)
    throw new FilmError(
      `a JPEG of ${found.components} colours (CMYK)`,
      "A radiograph is grey: convert it to a grey PNG.",
    );
  checkPixels(found.rows, found.columns);
  if (!found.whole) throw damaged(file);
  const lost = new FilmError("a damaged JPEG: parts of its picture are lost or left over", AGAIN);
  let picture;
  try {
    picture = await decodeFrame("JPEG", file);
  } catch {
    throw lost;
  }
  if (picture.complaints.length || picture.width !== found.columns || picture.height !== found.rows) throw lost;
  const channels = picture.componentCount as 1 | 3;
  return {
    width: picture.width,
    height: picture.height,
    channels,
    data: picture.bytes,
    orientation: found.orientation,
  };
}

/** One channel; colour becomes luma (ITU-R BT.601). */
function greyOf(samples: Samples, notes: string[]): Uint8Array | Uint16Array {
  const { data, channels } = samples;
  if (channels === 1) return data;
  const count = data.length / channels;
  const most = full(data);
  const colours = channels >= 3 ? 3 : 1;
  if (channels === 2 || channels === 4) {
    let [sum, seen] = [0, 0];
    for (let k = channels - 1; k < data.length; k += channels) {
      sum += data[k]!;
      if (data[k] !== most) seen++;
    }
    if (sum / count < LEAST_OPACITY * most)
      throw new FilmError(
        `a transparent image: ${seen} of ${count} pixels are not opaque`,
        "Save it without an alpha channel, over the background that it was made for.",
      );
    if (seen) notes.push("images_not_quite_opaque");
  }
  const Kind = data.constructor as new (n: number) => typeof data;
  const out = new Kind(count);
  if (colours === 1) {
    for (let k = 0; k < count; k++) out[k] = data[k * channels]!;
    return out;
  }
  let [difference, brightest] = [0, 0];
  for (let k = 0, at = 0; k < count; k++, at += channels) {
    const [r, g, b] = [data[at]!, data[at + 1]!, data[at + 2]!];
    const high = Math.max(r, g, b);
    difference += high - Math.min(r, g, b);
    if (high > brightest) brightest = high;
    out[k] = r === g && g === b ? r : (9798 * r + 19235 * g + 3735 * b + 16384) >>> 15;
  }
  const depth = most === 255 ? 8 : DEPTHS.find((bits) => brightest < 2 ** bits)!;
  if ((difference / count) * 255 > COLOUR_TOLERANCE * (2 ** depth - 1)) notes.push("images_coloured");
  return out;
}

function depthOf(data: Uint16Array): number {
  let most = 0;
  for (const value of data) if (value > most) most = value;
  return DEPTHS.find((bits) => most < 2 ** bits)!;
}

function damaged(file: Uint8Array): FilmError {
  return new FilmError(`a truncated or damaged image (${file.length} bytes)`, AGAIN);
}

function unknown(file: Uint8Array): FilmError {
  if (!file.length) return new FilmError("the file is empty", AGAIN);
  const start = new TextDecoder("latin1").decode(file.subarray(0, 32));
  const kind = OTHERS.find(([begin]) => start.startsWith(begin))?.[1] ?? "an unknown format";
  const convert = "Convert it to PNG, which loses nothing: magick IN OUT.png";
  return new FilmError(`neither DICOM, PNG nor JPEG: ${kind}`, CONVERTIBLE.includes(kind) ? convert : AGAIN);
}
