/** A film on a canvas: sharp at every zoom, in any window. */

export interface Shown {
  width: number;
  height: number;
  levels: Level[]; // halved again and again
  full: number;
}

interface Level {
  width: number;
  height: number;
  data: Uint8Array | Uint16Array;
}

/** Where the film is: film pixels * scale + offset are pixels of the canvas. */
export interface Place {
  scale: number;
  left: number;
  top: number;
}

/** Ends of the window, as shares of the range of greys. */
export interface Window {
  low: number;
  high: number;
  inverted: boolean;
}

export function shownOf(film: Level): Shown {
  const levels = [film];
  for (let last = film; Math.max(last.width, last.height) > 512; levels.push((last = halved(last))));
  return { width: film.width, height: film.height, levels, full: film.data instanceof Uint8Array ? 255 : 65535 };
}

function halved({ width, height, data }: Level): Level {
  const [w, h] = [Math.max(width >> 1, 1), Math.max(height >> 1, 1)];
  const out = new (data.constructor as new (n: number) => Uint16Array)(w * h);
  for (let y = 0, to = 0; y < h; y++) {
    let at = 2 * y * width;
    const below = height > 1 ? width : 0;
    const right = width > 1 ? 1 : 0;
    for (let x = 0; x < w; x++, at += 2)
      out[to++] = (data[at]! + data[at + right]! + data[at + below]! + data[at + below + right]! + 2) >> 2;
  }
  return { width: w, height: h, data: out };
}

const GREYS = 4096;

/** Draws the film in its place; what is beside it stays black. */
export function draw(canvas: HTMLCanvasElement, film: Shown, place: Place, window: Window): void {
  const context = canvas.getContext("2d", { alpha: false })!;
  const { width, height } = canvas;
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  const x0 = Math.max(0, Math.floor(place.left));
  const y0 = Math.max(0, Math.floor(place.top));
  const x1 = Math.min(width, Math.ceil(place.left + film.width * place.scale));
  const y1 = Math.min(height, Math.ceil(place.top + film.height * place.scale));
  if (x1 <= x0 || y1 <= y0) return;
  const image = context.createImageData(x1 - x0, y1 - y0);
  fill(new Uint32Array(image.data.buffer), image.width, image.height, film, { ...place, left: place.left - x0, top: place.top - y0 }, window);
  context.putImageData(image, x0, y0);
}

function fill(out: Uint32Array, width: number, height: number, film: Shown, place: Place, window: Window): void {
  const halvings = Math.max(0, Math.floor(Math.log2(1 / place.scale) + 0.01));
  const number = Math.min(halvings, film.levels.length - 1);
  const level = film.levels[number]!;
  const [across, down] = [level.width / (film.width * place.scale), level.height / (film.height * place.scale)];
  const greys = table(window);
  const factor = (GREYS - 1) / film.full;
  const { data } = level;
  const columns = axis(width, place.left, across, level.width);
  const rows = axis(height, place.top, down, level.height);
  for (let y = 0, to = 0; y < height; y++) {
    const fy = rows.part[y]!;
    const upper = rows.first[y]! * level.width;
    const lower = rows.second[y]! * level.width;
    for (let x = 0; x < width; x++) {
      const [a, b, fx] = [columns.first[x]!, columns.second[x]!, columns.part[x]!];
      const top = data[upper + a]! + (data[upper + b]! - data[upper + a]!) * fx;
      const bottom = data[lower + a]! + (data[lower + b]! - data[lower + a]!) * fx;
      out[to++] = greys[((top + (bottom - top) * fy) * factor + 0.5) | 0]!;
    }
  }
}

/** Which two pixels of a level each pixel of the canvas lies between. */
function axis(count: number, start: number, step: number, size: number) {
  const first = new Int32Array(count);
  const second = new Int32Array(count);
  const part = new Float32Array(count);
  for (let k = 0; k < count; k++) {
    const at = Math.min(Math.max((k + 0.5 - start) * step - 0.5, 0), size - 1);
    first[k] = Math.floor(at);
    second[k] = Math.min(first[k]! + 1, size - 1);
    part[k] = at - first[k]!;
  }
  return { first, second, part };
}

/** The colour of each grey, as a canvas holds it. */
function table({ low, high, inverted }: Window): Uint32Array {
  return Uint32Array.from({ length: GREYS }, (_, k) => {
    const unit = Math.min(Math.max((k / (GREYS - 1) - low) / (high - low), 0), 1);
    const grey = Math.round(255 * (inverted ? 1 - unit : unit));
    return (255 << 24) | (grey << 16) | (grey << 8) | grey;
  });
}

// Inferno (van der Walt and Smith, CC0), at nine places.
const INFERNO = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
] as const;

/** A heat map as a small picture, whose greatest value is the most opaque. */
export function heatOf(map: { width: number; height: number; data: Float32Array }): HTMLCanvasElement | undefined {
  const most = map.data.reduce((a, b) => Math.max(a, b), 0);
  if (!(most > 0)) return undefined;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [map.width, map.height];
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(map.width, map.height);
  map.data.forEach((value, k) => {
    const share = Math.min(Math.max(value / most, 0), 1);
    const at = share * (INFERNO.length - 1);
    const low = Math.min(Math.floor(at), INFERNO.length - 2);
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = INFERNO[low]![c]! + (INFERNO[low + 1]![c]! - INFERNO[low]![c]!) * (at - low);
    image.data[4 * k + 3] = 255 * share;
  });
  context.putImageData(image, 0, 0);
  return canvas;
}
