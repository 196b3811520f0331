/**
 * From stored values to display values: one table for all that a pixel can hold.
 *
 * Modality LUT, VOI LUT or window, inversion of MONOCHROME1, in this order (PS3.3 C.11.1,
 * C.11.2, C.7.6.3.1.2). Padding skips the chain and is dark, like air (C.7.5.1.1.2).
 */

import { FilmError, rint } from "../film";
import { number } from "./attributes";
import type { Header } from "./header";
import { asSigned, type Layout, valuesOf } from "./layout";
import { lookUp, readLut } from "./lut";
import { shown } from "./window";

const LAST = 65535;

/** What each code of a pixel cell looks like, and which codes are padding. */
export interface Display {
  table: Uint16Array;
  padding: Uint8Array;
}

/** The table of a header. Throws for a LUT, rescaling or window that cannot be applied. */
export function displayOf(header: Header, layout: Layout): Display {
  const values = valuesOf(layout);
  const padding = paddingOf(header, values, layout.signed);
  const { rescale, low, top } = modality(header, layout.lowest, layout.highest);
  const unit = shown(header, low, top) ?? ((value: number) => (value - low) / (top - low));
  const table = new Uint16Array(values.length);
  for (let code = 0; code < table.length; code++) {
    if (padding[code]) continue;
    const bright = unit(rescale(values[code]!));
    const grey = layout.inverse ? 1 - bright : bright;
    table[code] = rint(Math.min(Math.max(grey, 0), 1) * LAST);
  }
  return { table, padding };
}

/** The negative; padding stays dark. */
export function inverted({ table, padding }: Display): Display {
  return { table: table.map((grey, code) => (padding[code] ? 0 : LAST - grey)), padding };
}

function paddingOf(header: Header, values: Float64Array, signed: boolean): Uint8Array {
  const padding = new Uint8Array(values.length);
  const value = number(header, "PixelPaddingValue");
  if (value === undefined) return padding;
  const limit = number(header, "PixelPaddingRangeLimit") ?? value;
  // Writers confuse US and SS; the 16 bits are the same.
  const ends = [value, limit].map((x) => (signed ? asSigned(x & 0xffff, 16) : x & 0xffff)).sort((a, b) => a - b);
  const [first, last] = ends as [number, number];
  const inside = (x: number) => x >= first && x <= last;
  const lowest = values.reduce((a, b) => Math.min(a, b));
  const highest = values.reduce((a, b) => Math.max(a, b));
  // A value that the stored bits cannot hold refers to the whole cell.
  const whole = first < lowest || last > highest;
  const bits = values.length === 256 ? 8 : 16;
  values.forEach((x, cell) => {
    const is = inside(x) || (whole && inside(signed ? asSigned(cell, bits) : cell));
    padding[cell] = Number(is);
  });
  if (padding.every((is) => is))
    throw new FilmError(
      `every pixel value is padding (PixelPaddingValue ${value}, PixelPaddingRangeLimit ${limit})`,
      "Remove these two from the header, or export the file again.",
    );
  return padding;
}

/** The modality LUT or rescaling, and the range that it can reach. */
function modality(header: Header, lowest: number, highest: number) {
  const lut = readLut(header, "ModalityLUTSequence", lowest, highest);
  if (lut) return { rescale: (value: number) => lookUp(lut, value), low: 0, top: lut.full };
  const slope = number(header, "RescaleSlope") ?? 1;
  const intercept = number(header, "RescaleIntercept") ?? 0;
  const rescale = (value: number) => value * slope + intercept;
  const ends = [rescale(lowest), rescale(highest)].sort((a, b) => a - b) as [number, number];
  // Numbers too large or too small for each other leave no difference.
  let lost = false;
  for (let x = lowest; x < highest && !lost; x++)
    lost = !(Math.abs(rescale(x + 1) - rescale(x) - slope) <= 0.01 * Math.abs(slope));
  if (slope === 0 || lost || !ends.every(Number.isFinite))
    throw new FilmError(
      `rescale slope ${slope} and intercept ${intercept}`,
      "Correct them in the header, or export the file again.",
    );
  return { rescale, low: ends[0], top: ends[1] };
}
