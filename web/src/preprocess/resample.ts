/** Area averaging and bilinear interpolation, as OpenCV's resize does them. */

import { rint } from "../films/film";

type Numbers = Uint8Array | Uint16Array | Float32Array;

export interface Raster<T extends Numbers = Numbers> {
  width: number;
  height: number;
  data: T;
}

/** Which sources a pixel of the result takes along one axis, and how much of each. */
interface Taps {
  from: Int32Array; // first source of each pixel
  weights: Float32Array; // `most` for each pixel; zeros fill up
  most: number;
}

/** INTER_AREA: the mean of the area that a pixel covers; interpolated where a side grows. */
export function area<T extends Numbers>(picture: Raster<T>, width: number, height: number): Raster<T> {
  if (width === picture.width && height === picture.height) return picture;
  const shrinks = width <= picture.width && height <= picture.height;
  const taps = shrinks ? areaTaps : enlargedAreaTaps;
  return resampled(picture, taps(picture.width, width), taps(picture.height, height));
}

/** INTER_LINEAR: between the centres of pixels; the edges are repeated. */
export function linear<T extends Numbers>(picture: Raster<T>, width: number, height: number): Raster<T> {
  if (width === picture.width && height === picture.height) return picture;
  return resampled(picture, linearTaps(picture.width, width), linearTaps(picture.height, height));
}

function resampled<T extends Numbers>(picture: Raster<T>, across: Taps, down: Taps): Raster<T> {
  const width = across.from.length;
  const height = down.from.length;
  const data = new (picture.data.constructor as new (n: number) => T)(width * height);
  const whole = !(data instanceof Float32Array);
  // A row of the source is shrunk once, and kept while rows of the result need it.
  const rows = new Map<number, Float32Array>();
  const sum = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    const first = down.from[y]!;
    for (const row of rows.keys()) if (row < first) rows.delete(row);
    for (let k = 0; k < down.most; k++) {
      const weight = down.weights[y * down.most + k]!;
      if (weight === 0) continue;
      let row = rows.get(first + k);
      if (!row) rows.set(first + k, (row = alongRow(picture, first + k, across)));
      for (let x = 0; x < width; x++) sum[x]! += weight * row[x]!;
    }
    for (let x = 0; x < width; x++) data[y * width + x] = whole ? rint(sum[x]!) : sum[x]!;
  }
  return { width, height, data };
}

function alongRow(picture: Raster, row: number, across: Taps): Float32Array {
  const { from, weights, most } = across;
  const out = new Float32Array(from.length);
  const { data } = picture;
  const line = row * picture.width;
  for (let x = 0, w = 0; x < out.length; x++) {
    let value = 0;
    const at = line + from[x]!;
    for (let k = 0; k < most; k++, w++) if (weights[w] !== 0) value += weights[w]! * data[at + k]!;
    out[x] = value;
  }
  return out;
}

/** A pixel covers `size / target` of the source. */
function areaTaps(size: number, target: number): Taps {
  const scale = size / target;
  const taps = emptyTaps(target, Math.ceil(scale) + 1);
  for (let x = 0; x < target; x++) {
    const [start, end] = [x * scale, Math.min((x + 1) * scale, size)];
    const cell = Math.min(scale, size - start);
    // Slivers below a thousandth of a pixel are left out, as in OpenCV.
    const first = start - Math.floor(start) > 1 - 1e-3 ? Math.ceil(start) : Math.floor(start);
    taps.from[x] = Math.min(first, size - 1);
    for (let k = 0; k < taps.most && first + k < size; k++) {
      const covered = Math.min(end, first + k + 1) - Math.max(start, first + k);
      if (covered > 1e-3) taps.weights[x * taps.most + k] = Math.min(covered, 1) / cell;
    }
  }
  return taps;
}

function linearTaps(size: number, target: number): Taps {
  const scale = size / target;
  return between(size, target, (x) => (x + 0.5) * scale - 0.5);
}

/** What OpenCV's INTER_AREA does where a side grows. */
function enlargedAreaTaps(size: number, target: number): Taps {
  const scale = size / target;
  return between(size, target, (x) => {
    const left = Math.floor(x * scale);
    const share = x + 1 - (left + 1) / scale;
    return left + (share <= 0 ? 0 : share - Math.floor(share));
  });
}

function between(size: number, target: number, place: (x: number) => number): Taps {
  const taps = emptyTaps(target, 2);
  for (let x = 0; x < target; x++) {
    const at = Math.min(Math.max(place(x), 0), size - 1);
    const left = Math.min(Math.floor(at), Math.max(size - 2, 0));
    taps.from[x] = left;
    taps.weights[2 * x] = 1 - (at - left);
    if (size > 1) taps.weights[2 * x + 1] = at - left;
  }
  return taps;
}

function emptyTaps(target: number, most: number): Taps {
  return { from: new Int32Array(target), weights: new Float32Array(target * most), most };
}
