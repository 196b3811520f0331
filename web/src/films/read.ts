/** One film of a file, whatever its format. */

import { readRadiograph } from "./dicom/radiograph";
import type { Film } from "./film";
import { isJpeg, isPng, readPicture } from "./picture";

const SMALLEST = 32; // pixels of a side; no chest is to be seen in less

/** "png", "jpeg" or "dicom" by the first bytes; DICOM without its mark by the name; "" if unknown. */
export function formatOf(file: Uint8Array, name: string): "png" | "jpeg" | "dicom" | "" {
  if (isPng(file)) return "png";
  if (isJpeg(file)) return "jpeg";
  const marked = String.fromCharCode(...file.subarray(128, 132)) === "DICM";
  return marked || /\.(dcm|dicom)$/i.test(name) ? "dicom" : "";
}

/**
 * Reads a DICOM, PNG or JPEG, recognised by content. Throws FilmError.
 *
 * `bits`: of what is to become of it. With 8, a picture of 16 bits is scaled to 8 here and
 * DICOM keeps its 16; with 16, values of 8 bits become 16 by 257, so that white is white.
 */
export async function readFilm(file: Uint8Array, name: string, bits: 8 | 16, polarity: string): Promise<Film> {
  const dicom = formatOf(file, name) === "dicom";
  const film = dicom ? await readRadiograph(file, polarity) : await readPicture(file, bits);
  const notes = [...film.notes];
  if (Math.min(film.width, film.height) < SMALLEST) notes.push("films_too_small");
  const { data } = film;
  let same = 1;
  while (same < data.length && data[same] === data[0]) same++;
  if (same >= data.length) notes.push("films_of_one_grey");
  return { ...film, data: bits === 16 ? as16(data) : data, notes };
}

/** 8 bits as 16: black and white stay at the ends. */
export function as16(data: Uint8Array | Uint16Array): Uint16Array {
  if (data instanceof Uint16Array) return data;
  const out = new Uint16Array(data.length);
  for (let k = 0; k < out.length; k++) out[k] = data[k]! * 257;
  return out;
}
