/** The eight ways in which a picture can lie, numbered as EXIF does (CIPA DC-008). */

type Pixels = Uint8Array | Uint16Array;

export const UPRIGHT = 1;

export interface Raster<T extends Pixels = Pixels> {
  width: number;
  height: number;
  data: T;
}

/** The picture as it is meant to be seen. */
export function upright<T extends Pixels>(picture: Raster<T>, orientation: number): Raster<T> {
  if (orientation === UPRIGHT) return picture;
  const { width: w, height: h, data } = picture;
  const swapped = orientation >= 5;
  const width = swapped ? h : w;
  const height = swapped ? w : h;
  const out = new (data.constructor as new (n: number) => T)(data.length);
  // Where the first pixel of the result lies, and the steps along its rows and columns.
  const corner = [0, 0, w - 1, w * h - 1, w * (h - 1), 0, w * (h - 1), w * h - 1, w - 1];
  const across = [0, 1, -1, -1, 1, w, -w, -w, w];
  const down = [0, w, w, -w, -w, 1, 1, -1, -1];
  for (let y = 0, to = 0; y < height; y++) {
    let from = corner[orientation]! + y * down[orientation]!;
    for (let x = 0; x < width; x++, from += across[orientation]!) out[to++] = data[from]!;
  }
  return { width, height, data: out };
}

/** The orientation in the TIFF structure of an EXIF block; 1 if it holds none. */
export function ofTiff(data: Uint8Array): number {
  const mark = String.fromCharCode(...data.subarray(0, 4));
  const little = mark === "II*\0";
  if ((!little && mark !== "MM\0*") || data.length < 8) return UPRIGHT;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const at = view.getUint32(4, little);
  if (at + 2 > data.length) return UPRIGHT;
  const end = Math.min(at + 2 + 12 * view.getUint16(at, little), data.length - 11);
  for (let entry = at + 2; entry < end; entry += 12) {
    const value = view.getUint16(entry + 8, little);
    if (
      view.getUint16(entry, little) === 0x0112 &&
      view.getUint16(entry + 2, little) === 3 &&
      view.getUint32(entry + 4, little) === 1 &&
      value >= 1 &&
      value <= 8
    )
      return value;
  }
  return UPRIGHT;
}
