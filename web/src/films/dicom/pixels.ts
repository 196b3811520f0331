/** The stored values of a DICOM image in any transfer syntax. */

import { AGAIN, FilmError } from "../film";
import { type Codestream, decode, isCodestream, readCodestream, type Samples } from "./codestream";
import { BIG, type Header, NATIVE, PIXELS } from "./header";
import { asSigned, type Layout } from "./layout";
import { decodeRunLength, isRunLength } from "./runlength";

/** Pixel cells, unsigned, and keys about how they were written. */
export interface Cells {
  codes: Samples;
  notes: string[];
}

/** The pixel cells of a header in any transfer syntax. */
export async function readCells(header: Header, layout: Layout): Promise<Cells> {
  const element = header.elements[PIXELS]!;
  if (element.hadUndefinedLength) return encapsulated(header, layout);
  if (!NATIVE.includes(header.syntax))
    throw new FilmError(
      `the transfer syntax is ${header.syntax}, but the pixel data is not encapsulated as in a compressed file`,
      "Export the file again.",
    );
  return { codes: native(header, layout), notes: [] };
}

function native(header: Header, layout: Layout): Samples {
  const element = header.elements[PIXELS]!;
  const data = header.bytes.subarray(element.dataOffset, element.dataOffset + element.length);
  const count = layout.rows * layout.columns;
  const size = count * layout.width;
  if (data.length < size) throw new FilmError(`truncated: ${data.length} of ${size} bytes of pixel data`, AGAIN);
  // Bytes that are all alike may fill it up; others belong to a larger picture.
  const rest = data.subarray(size);
  if (rest.some((byte) => byte !== rest[0]))
    throw new FilmError(
      `${data.length} bytes of pixel data, but the header says ${size}`,
      "The header is wrong: export the file again.",
    );
  const big = header.syntax === BIG;
  if (layout.width === 1) {
    if (!big || (element.vr ?? "OW") !== "OW") return data.slice(0, count);
    // Two pixels are a word, and words are swapped (PS3.5, 8.1.2).
    return Uint8Array.from({ length: count }, (_, k) => data[k ^ 1] ?? 0);
  }
  const bytes = data.slice(0, size);
  const codes = new Uint16Array(bytes.buffer);
  if (big) for (let k = 0; k < codes.length; k++) codes[k] = (codes[k]! << 8) | (codes[k]! >> 8);
  return codes;
}

async function encapsulated(header: Header, layout: Layout): Promise<Cells> {
  const element = header.elements[PIXELS]!;
  const items = [...readItems(header.bytes.subarray(element.dataOffset))];
  // The first item is a table of offsets, possibly empty; some writers omit it.
  const first = items[0];
  const isFrame = first && (isCodestream(first) || isRunLength(first, layout));
  const frame = joined(isFrame ? items : items.slice(1));
  if (!frame.length) throw new FilmError("its pixel data are empty", AGAIN);
  if (isRunLength(frame, layout)) return decodeRunLength(frame, layout);
  const stream = readCodestream(frame);
  check(layout, stream);
  let codes = await decode(frame, stream);
  if (stream.signed) {
    checkSign(layout, stream, codes);
    codes = widened(codes, layout);
  }
  return { codes, notes: notesOn(layout, stream) };
}

/** The items of encapsulated pixel data: a table of offsets, fragments (PS3.5, A.4). */
function* readItems(data: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  while (at < data.length) {
    const tag = at + 4 <= data.length ? view.getUint32(at, true) : 0;
    if (tag === 0xe0ddfffe) return;
    if (tag !== 0xe000fffe || at + 8 > data.length)
      throw new FilmError("truncated or damaged pixel data (no item follows)", AGAIN);
    const length = view.getUint32(at + 4, true);
    const end = at + 8 + length;
    if (end > data.length)
      throw new FilmError(
        `truncated or damaged pixel data (${data.length - at - 8} of ${length} bytes of a fragment)`,
        AGAIN,
      );
    yield data.subarray(at + 8, end);
    at = end;
  }
}

function joined(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Throws where the codestream and the header contradict each other. */
function check(layout: Layout, stream: Codestream): void {
  if (stream.rows !== layout.rows || stream.columns !== layout.columns || stream.components !== 1)
    throw new FilmError(
      `the header says ${layout.rows} x ${layout.columns} grey pixels, but the ${stream.kind} frame has ` +
        `${stream.rows} x ${stream.columns} of ${stream.components} components`,
      "Export the file again.",
    );
  const used = layout.high + 1;
  // Fewer bits than stored are small numbers; but where the sign would be, or values that
  // begin above the lowest bit, is then unknown.
  const placed = stream.signed || (used === layout.stored && !layout.signed);
  if (stream.bits > layout.allocated || (stream.bits < used && !placed))
    throw new FilmError(
      `the header says ${layout.stored} bits up to bit ${layout.high} of ${layout.allocated}, ` +
        `but the ${stream.kind} frame has ${stream.bits}`,
      "Export the file again.",
    );
}

/** Throws where samples have a sign that the header denies. */
function checkSign(layout: Layout, stream: Codestream, codes: Samples): void {
  if (layout.signed) return;
  const bits = 8 * codes.BYTES_PER_ELEMENT;
  let least = 0;
  for (const code of codes) least = Math.min(least, asSigned(code, bits));
  if (least < 0)
    throw new FilmError(
      `the header says unsigned values, but the ${stream.kind} frame holds ${least}`,
      "PixelRepresentation is wrong, or the encoder was: export the file again.",
    );
}

/** Signed samples of one byte in cells of two keep their sign. */
function widened(codes: Samples, layout: Layout): Samples {
  if (codes.BYTES_PER_ELEMENT === layout.width) return codes;
  return Uint16Array.from(codes, (code) => asSigned(code, 8) & 0xffff);
}

function notesOn(layout: Layout, stream: Codestream): string[] {
  const found = [];
  // Only JPEG 2000 has a sign of its own.
  if (stream.kind === "JPEG 2000" && stream.signed !== layout.signed) found.push("dicom_sign_contradicted");
  if (stream.bits < layout.stored) found.push("dicom_depth_contradicted");
  return found;
}
