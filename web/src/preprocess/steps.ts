/** preprocess.json, interpreted: from a film to what the network is given. */

import { type Film, full, rint } from "../films/film";
import { as16, readFilm } from "../films/read";
import type { Preprocess } from "./language";
import { area, linear, type Raster } from "./resample";

type Pixels = Uint8Array | Uint16Array;
type Picture = Raster<Pixels>;

/** The step `read`. Throws FilmError. */
export function read(file: Uint8Array, name: string, steps: Preprocess): Promise<Film> {
  return readFilm(file, name, steps.bits, steps.polarity);
}

/** The steps after `read`: side * side numbers in 0..1. */
export function prepared(film: Picture, steps: Preprocess): Float32Array {
  const { data } = squared(film, steps);
  const most = full(data);
  const out = new Float32Array(data.length);
  for (let k = 0; k < out.length; k++) out[k] = data[k]! / most;
  return out;
}

/** The steps up to `unit`. */
export function squared(film: Picture, steps: Preprocess): Picture {
  let picture = shrunk(film, steps.longest, steps.bits);
  if (steps.pad) picture = padded(picture);
  const { width, height } = picture;
  const shrinks = width >= steps.side && height >= steps.side;
  return (shrinks ? area : linear)(picture, steps.side, steps.side);
}

/** Area averaging so that the longer side is at most `size`; then the depth of the training. */
function shrunk(film: Picture, size: number, bits: 8 | 16): Picture {
  const { width, height } = film;
  const longest = Math.max(width, height);
  const side = (value: number) => Math.max(1, Math.floor((value * size + Math.floor(longest / 2)) / longest));
  const data = bits === 16 ? as16(film.data) : film.data;
  const whole = { width, height, data };
  const small = longest <= size ? whole : area<Pixels>(whole, side(width), side(height));
  if (bits === 16 || small.data instanceof Uint8Array) return small;
  const shallow = new Uint8Array(small.data.length);
  for (let k = 0; k < shallow.length; k++) shallow[k] = rint(small.data[k]! / 257);
  return { ...small, data: shallow };
}

/** Black on both shorter sides, so that the picture is square. */
function padded(picture: Picture): Picture {
  const { width, height, data } = picture;
  const side = Math.max(width, height);
  if (width === height) return picture;
  const out = new (data.constructor as new (n: number) => Pixels)(side * side);
  const [top, left] = [(side - height) >> 1, (side - width) >> 1];
  for (let y = 0; y < height; y++) out.set(data.subarray(y * width, (y + 1) * width), (top + y) * side + left);
  return { width: side, height: side, data: out };
}
