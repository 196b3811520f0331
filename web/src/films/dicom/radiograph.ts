/**
 * DICOM radiographs in one convention: 16 bits, full range, air dark, the patient's right at
 * the left and the head up. docs/dicom.md explains every step.
 */

import { AGAIN, type Film, FilmError } from "../film";
import { upright } from "../orientation";
import { code, text } from "./attributes";
import { applyGroups } from "./groups";
import { type Display, displayOf, inverted } from "./display";
import { openDicom } from "./header";
import { identifiers } from "./identifiers";
import { asSigned, isBeyond, type Layout, layoutOf, valuesOf } from "./layout";
import { readCells } from "./pixels";
import { contradicts } from "./polarity";
import { orientationOf, sideNotes } from "./sides";
import type { Samples } from "./codestream";
import { windowNotes } from "./window";

const SAMPLE = 512; // pixels of the longer side are enough to detect the polarity
// A window that shows so many values as so few greys leaves no picture.
const MANY_VALUES = 16;
const FEW_GREYS = 3;

/** Reads one single-frame grey radiograph. `polarity`: what is obeyed, "header" or "pixels". */
export async function readRadiograph(file: Uint8Array, polarity: string): Promise<Film> {
  try {
    return await read(file, polarity);
  } catch (error) {
    if (error instanceof FilmError) throw error;
    const name = error instanceof Error ? error.name : "unknown error";
    throw new FilmError(`a truncated or damaged DICOM file (${name})`, AGAIN);
  }
}

async function read(file: Uint8Array, polarity: string): Promise<Film> {
  const header = await openDicom(file);
  const grouped = applyGroups(header);
  const layout = layoutOf(header);
  let display = displayOf(header, layout);
  const turned = orientationOf(header);
  const notes = [...windowNotes(header), ...sideNotes(header)];
  if (grouped) notes.push("dicom_functional_groups");
  const { codes, notes: more } = await readCells(header, layout);
  notes.push(...notesOnValues(layout, display, codes));
  if (signContradicted(layout, codes)) notes.push("dicom_sign_doubtful");
  const contradicted = contradicts(sampled(display, codes, layout));
  if (contradicted && polarity === "pixels") display = inverted(display);
  const { table } = display;
  const data = new Uint16Array(codes.length);
  for (let k = 0; k < codes.length; k++) {
    data[k] = table[codes[k]!]!;
  }
  checkContrast(display, codes);
  notes.push(...more);
  const film = upright({ width: layout.columns, height: layout.rows, data }, turned);
  const named = identifiers(header).map((attribute) => `dicom_names_person:${attribute}`);
  if (contradicted) named.push(polarity === "pixels" ? "dicom_polarity_corrected" : "dicom_polarity_contradicted");
  return { ...film, notes: [...notes, ...named], about: about(header, layout) };
}

function about(header: Parameters<typeof code>[0], layout: Layout): string[] {
  return [
    `DICOM, ${layout.columns} x ${layout.rows}, ${layout.stored} bits, ${layout.inverse ? "MONOCHROME1" : "MONOCHROME2"}`,
    code(header, "Modality"),
    code(header, "ViewPosition"),
    text(header, "Manufacturer"),
  ].filter((each) => each);
}

/** Keys about bits above those of the values; throws for values that BitsStored cannot hold. */
function notesOnValues(layout: Layout, display: Display, codes: Samples): string[] {
  if (layout.high + 1 === layout.allocated || codes.BYTES_PER_ELEMENT < layout.width) return [];
  let all = 0;
  for (let k = 0; k < codes.length; k++) all |= codes[k]!;
  if (!(all >> (layout.high + 1))) return [];
  let worst = -1;
  for (const code of codes) if (code > worst && isBeyond(layout, code) && !display.padding[code]) worst = code;
  if (worst < 0) return [];
  const whole = Float64Array.from(codes, (code) => (layout.signed ? asSigned(code, layout.allocated) : code));
  const values = valuesOf(layout);
  const inside = Float64Array.from(codes, (code) => values[code]!);
  if (roughness(whole, layout.columns) >= roughness(inside, layout.columns)) return ["dicom_bits_left_out"];
  throw new FilmError(
    `values up to ${worst} in cells of ${layout.allocated} bits, but the header says ` +
      `${layout.stored} bits up to bit ${layout.high}`,
    "BitsStored or HighBit is wrong: export the file again.",
  );
}

/** How far neighbours differ, in all. */
function roughness(values: Float64Array, columns: number): number {
  let sum = 0;
  for (let k = 0; k < values.length; k++) {
    if ((k + 1) % columns) sum += Math.abs((values[k + 1] ?? 0) - values[k]!);
    if (k + columns < values.length) sum += Math.abs(values[k + columns]! - values[k]!);
  }
  return sum;
}

/**
 * Whether the picture is far smoother with the other PixelRepresentation: values that wrap at
 * the sign leave steps of the whole range. Saturated black beside white is left out.
 */
function signContradicted(layout: Layout, codes: Samples): boolean {
  if (layout.high + 1 > 8 * codes.BYTES_PER_ELEMENT) return false;
  const { rows, columns } = layout;
  const ways = [layout, otherSign(layout)].map((each) => ({ ...each, values: valuesOf(each) }));
  const [here, there] = ways as [(typeof ways)[0], (typeof ways)[0]];
  const isEnd = (code: number) =>
    ways.some(({ values, lowest, highest }) => values[code] === lowest || values[code] === highest);
  const ends = Uint8Array.from(here.values, (_, code) => Number(isEnd(code)));
  const sums = [0, 0];
  for (let y = 0, step = Math.max(1, Math.floor(rows / SAMPLE)); y < rows; y += step)
    for (let x = 1, at = y * columns + 1; x < columns; x++, at++) {
      const [a, b] = [codes[at - 1]!, codes[at]!];
      if (ends[a] && ends[b]) continue;
      sums[0]! += Math.abs(here.values[b]! - here.values[a]!);
      sums[1]! += Math.abs(there.values[b]! - there.values[a]!);
    }
  return sums[0]! > 2 * sums[1]!;
}

function otherSign(layout: Layout): Layout {
  const signed = !layout.signed;
  const lowest = signed ? -(2 ** (layout.stored - 1)) : 0;
  return { ...layout, signed, lowest, highest: lowest + 2 ** layout.stored - 1 };
}

/** Throws where the header shows different values as a few greys. */
function checkContrast({ table, padding }: Display, codes: Samples): void {
  const present = new Uint8Array(table.length);
  for (let k = 0; k < codes.length; k++) present[codes[k]!] = 1;
  const seen = new Set<number>();
  let values = 0;
  for (let code = 0; code < present.length; code++)
    if (present[code] && !padding[code]) {
      values++;
      seen.add(table[code]!);
    }
  const one = seen.size === 1 && values > 1;
  if (one || (seen.size <= FEW_GREYS && values >= MANY_VALUES))
    throw new FilmError(
      `it has ${values} different values, but the window, look-up table or rescaling in its header shows them ` +
        `${one ? `all as ${[...seen][0]}` : `as ${seen.size} greys`} of 65535`,
      "Remove WindowCenter and WindowWidth (or the LUT) from the header, or export the file again.",
    );
}

/** Subsampled display values, with padding set to their median. */
function sampled(display: Display, codes: Samples, layout: Layout) {
  const { rows, columns } = layout;
  const step = Math.ceil(Math.max(rows, columns) / SAMPLE);
  const [height, width] = [Math.ceil(rows / step), Math.ceil(columns / step)];
  const data = new Float32Array(height * width);
  const counts = new Uint32Array(65536);
  const beside: number[] = []; // where the padding is
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to++) {
      const code = codes[y * step * columns + x * step]!;
      const grey = display.table[code]!;
      data[to] = grey;
      if (display.padding[code]) beside.push(to);
      else counts[grey]!++;
    }
  if (beside.length && beside.length < data.length) {
    const median = medianOf(counts, data.length - beside.length);
    for (const place of beside) data[place] = median;
  }
  return { width, height, data };
}

/** The median of counted values, as a whole number: NumPy cuts its fraction. */
function medianOf(counts: Uint32Array, total: number): number {
  const at = (place: number) => {
    let [value, seen] = [0, counts[0]!];
    while (seen <= place) seen += counts[++value]!;
    return value;
  };
  return Math.trunc((at((total - 1) >> 1) + at(total >> 1)) / 2);
}
