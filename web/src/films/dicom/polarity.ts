/**
 * Whether the pixels of a chest film contradict the polarity in its header.
 *
 * A port of tfds_builders/common/dicom/polarity.py, where it is explained: the rank
 * correlation with a drawn chest over windows of the film, and how dark its border is.
 */

import { area, type Raster } from "../../preprocess/resample";
import { rint } from "../film";

const LEAST = 32;
const FLAT = 0.02;
const GRID = 64;
const WINDOW = 24;
const BORDER_WEIGHT = 0.2;
const CLEAR = 0.1;

type Film = Raster<Float32Array>;

/** Whether a chest film is clearly a negative: dense structures dark. */
export function contradicts(film: Film): boolean {
  return evidence(film) < -CLEAR;
}

function evidence(film: Film): number {
  if (Math.min(film.width, film.height) < LEAST) return 0;
  const small = area(withoutFrame(film), GRID, GRID);
  let [most, least] = [-Infinity, Infinity];
  for (const window of windows(small))
    for (const template of TEMPLATES) {
      let fit = 0;
      for (let k = 0; k < window.length; k++) fit += window[k]! * template[k]!;
      most = Math.max(most, fit);
      least = Math.min(least, fit);
    }
  return most + least + BORDER_WEIGHT * darkBorder(small);
}

/** The film without the flat lines along its sides. */
function withoutFrame(film: Film): Film {
  const contrast = FLAT * spanOf(film.data, 0, 1, film.data.length);
  for (let twice = 0; twice < 2; twice++) {
    const tall = film;
    const rows = rough(tall.height, (y) => spanOf(tall.data, y * tall.width, 1, tall.width), contrast);
    if (rows) film = crop(film, 0, rows[0], film.width, rows[1] - rows[0] + 1);
    const wide = film;
    const columns = rough(wide.width, (x) => spanOf(wide.data, x, wide.width, wide.height), contrast);
    if (columns) film = crop(film, columns[0], 0, columns[1] - columns[0] + 1, film.height);
  }
  return film;
}

/** The range of `count` values, from one on and then every `step`. */
function spanOf(data: Float32Array, from: number, step: number, count: number): number {
  let [least, most] = [Infinity, -Infinity];
  for (let k = 0, at = from; k < count; k++, at += step) {
    const value = data[at]!;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return most - least;
}

/** The first and the last line that is not flat; both ends are searched inwards. */
function rough(count: number, span: (line: number) => number, contrast: number): [number, number] | undefined {
  let first = 0;
  while (first < count && span(first) <= contrast) first++;
  if (first === count) return undefined;
  let last = count - 1;
  while (span(last) <= contrast) last--;
  return [first, last];
}

export function crop(film: Film, left: number, top: number, width: number, height: number): Film {
  const data = new Float32Array(width * height);
  for (let y = 0; y < height; y++)
    data.set(film.data.subarray((top + y) * film.width + left, (top + y) * film.width + left + width), y * width);
  return { width, height, data };
}

/** Ranks of the pixels in windows of the film, standardised. */
function* windows(film: Film): Generator<Float64Array> {
  const sides = [0.6, 0.8, 1].map((part) => rint(part * GRID));
  const places = (side: number) => [...new Set([0, Math.floor((GRID - side) / 2), GRID - side])];
  for (const height of sides)
    for (const width of sides)
      for (const top of places(height))
        for (const left of places(width))
          yield standardised(ranks(area(crop(film, left, top, width, height), WINDOW, WINDOW).data));
}

/** Ranks from 1; equal values share the mean of theirs. */
function ranks(values: Float32Array): Float64Array {
  const sorted = values.slice().sort();
  const out = new Float64Array(values.length);
  for (let k = 0; k < values.length; k++) {
    const value = values[k]!;
    out[k] = (countBelow(sorted, (other) => other < value) + countBelow(sorted, (other) => other <= value) + 1) / 2;
  }
  return out;
}

/** How many of some rising values, the first ones, are as `is` says. */
function countBelow(sorted: Float32Array, is: (value: number) => boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is(sorted[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function standardised(row: Float64Array): Float64Array {
  let [sum, squares] = [0, 0];
  for (let k = 0; k < row.length; k++) sum += row[k]!;
  const mean = sum / row.length;
  for (let k = 0; k < row.length; k++) squares += (row[k]! - mean) ** 2;
  const norm = Math.sqrt(squares) || 1;
  return row.map((value) => (value - mean) / norm);
}

/** P(border darker than middle) - P(border brighter), of two random pixels. */
function darkBorder(film: Film): number {
  const side = GRID / 2;
  const { data } = area(film, side, side);
  const away = Float64Array.from({ length: side }, (_, k) => Math.abs(-1 + (2 * k) / (side - 1)));
  const border: number[] = [];
  const middle: number[] = [];
  data.forEach((value, k) => {
    const far = Math.max(away[Math.floor(k / side)]!, away[k % side]!);
    if (far > 0.9) border.push(value);
    else if (far < 0.7) middle.push(value);
  });
  let sum = 0;
  for (const a of border) for (const b of middle) sum += Math.sign(b - a);
  return sum / (border.length * middle.length);
}

/** A chest in the four quarter turns, standardised. */
function drawTemplates(): Float64Array[] {
  const at = (k: number) => ((k + 0.5) / WINDOW) * 2 - 1;
  const chest = Float64Array.from({ length: WINDOW * WINDOW }, (_, k) => {
    const across = at(k % WINDOW);
    const down = at(Math.floor(k / WINDOW));
    const side = Math.abs(across);
    const spine = Math.exp(-((across / 0.16) ** 2));
    const lungs = Math.exp(-(((side - 0.45) / 0.22) ** 2) - ((down + 0.05) / 0.55) ** 2);
    const abdomen = (1.2 * Math.exp(-((across / 0.8) ** 2))) / (1 + Math.exp(-(down - 0.6) * 12));
    const air = 1.2 * Math.exp(-(((side - 1) / 0.25) ** 2) - ((down + 1) / 0.4) ** 2);
    return spine - lungs + abdomen - air;
  });
  const turned = (values: Float64Array) =>
    values.map((_, k) => values[(k % WINDOW) * WINDOW + (WINDOW - 1 - Math.floor(k / WINDOW))]!);
  const turns = [chest];
  for (let k = 1; k < 4; k++) turns.push(turned(turns[k - 1]!));
  return turns.map(standardised);
}

const TEMPLATES = drawTemplates();
