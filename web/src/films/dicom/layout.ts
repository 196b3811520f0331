/** How the pixel cells of a DICOM image are laid out (PS3.3, C.7.6.3). */

import { AGAIN, checkPixels, FilmError } from "../film";
import { code, has, integer, type Name } from "./attributes";
import { type Header, PIXELS } from "./header";

const WRONG = "The header is wrong: export the file again.";
const NEEDED: Name[] = ["Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation"];

// Attributes that hold pixels in other forms.
const ELSEWHERE = [
  ["FloatPixelData", "x7fe00008"],
  ["DoubleFloatPixelData", "x7fe00009"],
  ["PixelDataProviderURL", "x00287fe0"],
] as const;

/** Size of one grey image, and which bits of a cell are its value. */
export interface Layout {
  rows: number;
  columns: number;
  allocated: 8 | 16;
  stored: number;
  high: number;
  signed: boolean;
  overlays: number; // bits of a cell that the header gives to overlays
  inverse: boolean; // MONOCHROME1
  width: 1 | 2; // bytes of a cell
  lowest: number;
  highest: number;
}

/** The layout that a header describes. Throws where it is not one grey image. */
export function layoutOf(header: Header): Layout {
  for (const [name, tag] of ELSEWHERE)
    if (header.elements[tag])
      throw new FilmError(
        `its pixels are in ${name}, which is not supported`,
        "Export it with whole numbers of 8 or 16 bits, in PixelData.",
      );
  const pixels = header.elements[PIXELS];
  if (!pixels)
    throw new FilmError(
      "no pixel data: the file is truncated, or it is a DICOM without an image " +
        `(${code(header, "Modality") || "modality unknown"})`,
      AGAIN,
    );
  const missing = NEEDED.filter((name) => !has(header, name));
  if (missing.length) throw new FilmError(`the header lacks ${missing.join(", ")}`, AGAIN);
  if (pixels.length === 0) throw new FilmError("its pixel data are empty", AGAIN);
  const photometric = code(header, "PhotometricInterpretation");
  const samples = integer(header, "SamplesPerPixel", 1);
  if (samples !== 1 || !["MONOCHROME1", "MONOCHROME2"].includes(photometric))
    throw new FilmError(
      `not a grey radiograph: ${samples} samples per pixel, ` +
        `photometric interpretation ${photometric || "not given"}`,
      "Remove the file (secondary captures and scanned reports are colour), or export it as MONOCHROME2.",
    );
  const frames = integer(header, "NumberOfFrames", 1);
  if (frames !== 1)
    throw new FilmError(`${frames} frames`, "A radiograph has one frame: remove the file, or export one frame.");
  return bitsOf(header, photometric === "MONOCHROME1");
}

function bitsOf(header: Header, inverse: boolean): Layout {
  const [rows, columns, allocated, stored, sign] = NEEDED.map((name) => integer(header, name)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const high = integer(header, "HighBit", stored - 1);
  if (rows < 1 || columns < 1) throw new FilmError(`${rows} x ${columns} pixels`, AGAIN);
  checkPixels(rows, columns);
  if ((allocated !== 8 && allocated !== 16) || stored < 1 || stored > high + 1 || high + 1 > allocated)
    throw new FilmError(
      `${stored} bits stored up to bit ${high} in ${allocated} allocated`,
      "Only 8 and 16 bits allocated are supported: export the file again.",
    );
  if (sign !== 0 && sign !== 1) throw new FilmError(`PixelRepresentation is ${sign}, not 0 or 1`, WRONG);
  const signed = sign === 1;
  const lowest = signed ? -(2 ** (stored - 1)) : 0;
  const width = (allocated / 8) as 1 | 2;
  const highest = lowest + 2 ** stored - 1;
  const overlays = overlaysOf(header);
  return { rows, columns, allocated, stored, high, signed, overlays, inverse, width, lowest, highest };
}

export const OVERLAYS = Array.from({ length: 128 }, (_, k) => 0x6000 + 2 * k); // groups

/** Bits of a cell in which the header says that overlays are (retired). */
function overlaysOf(header: Header): number {
  let bits = 0;
  for (const group of OVERLAYS) {
    const name = `x${group.toString(16)}`;
    const element = header.elements[`${name}0102`];
    if (!element || header.elements[`${name}3000`] || element.length < 2) continue;
    const position = header.parser.readUint16(header.bytes, element.dataOffset);
    if (position > 0 && position < 16) bits |= 1 << position;
  }
  return bits;
}

/** The value of every cell [2**allocated], by its own bits alone. */
export function valuesOf(layout: Layout): Float64Array {
  const { allocated, stored, high, signed } = layout;
  const mask = 2 ** stored - 1;
  const values = new Float64Array(2 ** allocated);
  for (let cell = 0; cell < values.length; cell++) {
    const value = (cell >> (high + 1 - stored)) & mask;
    values[cell] = signed ? asSigned(value, stored) : value;
  }
  return values;
}

/** Cells whose higher bits hold more than the value's sign. */
export function isBeyond(layout: Layout, cell: number): boolean {
  const above = ~(2 ** (layout.high + 1) - 1) & (2 ** layout.allocated - 1) & ~layout.overlays;
  const sign = layout.signed && (cell >> layout.high) & 1 ? above : 0;
  const found = cell & above;
  return found !== 0 && found !== sign;
}

/** A code in two's complement as a number. */
export function asSigned(value: number, bits: number): number {
  return value >> (bits - 1) ? value - 2 ** bits : value;
}

