/** The VOI LUT module of a header: a table, a window, or neither (PS3.3, C.11.2). */

import { FilmError } from "../film";
import { code, has, numbers } from "./attributes";
import type { Header } from "./header";
import { isEmpty, lookUp, readLut } from "./lut";

const HINT = "Remove the window from the header, or export the file again.";

/** The function from a value to 0..1, by the LUT or else the first window; undefined if none. */
export function shown(header: Header, low: number, high: number): ((value: number) => number) | undefined {
  const lut = readLut(header, "VOILUTSequence", low, high);
  if (lut) return (value) => lookUp(lut, value) / lut.full;
  const centre = numbers(header, "WindowCenter")[0];
  const width = numbers(header, "WindowWidth")[0];
  if (centre === undefined || width === undefined) return undefined;
  const name = has(header, "VOILUTFunction") ? code(header, "VOILUTFunction") || "unknown" : "LINEAR";
  return windowed(centre, width, name);
}

/** Keys about what was passed over. */
export function windowNotes(header: Header): string[] {
  const names = ["ModalityLUTSequence", "VOILUTSequence"] as const;
  const found = names.filter((name) => isEmpty(header, name)).map((name) => `dicom_ignored:${name}`);
  const [centre, width] = [has(header, "WindowCenter"), has(header, "WindowWidth")];
  if (centre !== width) found.push(`dicom_ignored:${centre ? "WindowCenter" : "WindowWidth"}`);
  return found;
}

function windowed(centre: number, width: number, name: string): (value: number) => number {
  if (name === "LINEAR" ? width < 1 : width <= 0)
    throw new FilmError(`window width ${width} (function ${name})`, HINT);
  const clip = (unit: number) => Math.min(Math.max(Number.isNaN(unit) ? 0 : unit, 0), 1);
  if (name === "LINEAR") {
    // Width 1 is a step at centre - 0.5; the slope below it is never used.
    const slope = width > 1 ? 1 / (width - 1) : Infinity;
    return (value) => clip((value - (centre - 0.5)) * slope + 0.5);
  }
  if (name === "LINEAR_EXACT") return (value) => clip((value - centre) / width + 0.5);
  if (name === "SIGMOID") return (value) => 1 / (1 + Math.exp((-4 * (value - centre)) / width));
  throw new FilmError(`VOI LUT function ${name}`, "Use LINEAR, LINEAR_EXACT or SIGMOID: export the file again.");
}
