/** Histograms of oriented gradients of the ranks of a film's greys (cxr_jax/gate/gradients.py). */

export const SIDE = 32;
const LEVELS = 4096;
const CELLS = 8;
const BINS = 6;
export const LENGTH = BINS * CELLS * CELLS;
const SOFT = 0.2;
const TINY = 1e-6;

/** Numbers [LENGTH], in the order direction, row, column, of a raster [SIDE * SIDE]. */
export function describe(raster: Float64Array): Float64Array {
  const ranked = ranks(raster);
  const sums = new Float64Array(LENGTH);
  const cell = SIDE / CELLS;
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++) {
      const at = y * SIDE + x;
      const gx = x > 0 && x < SIDE - 1 ? ranked[at + 1]! - ranked[at - 1]! : 0;
      const gy = y > 0 && y < SIDE - 1 ? ranked[at + SIDE]! - ranked[at - SIDE]! : 0;
      const length = Math.hypot(gx, gy);
      const angle = modulo(Math.atan2(gy, gx) * (BINS / (2 * Math.PI)), BINS);
      const low = Math.floor(angle);
      const part = angle - low;
      const place = Math.floor(y / cell) * CELLS + Math.floor(x / cell);
      sums[(low % BINS) * CELLS * CELLS + place]! += length * (1 - part);
      sums[((low + 1) % BINS) * CELLS * CELLS + place]! += length * part;
    }
  const norms = Float64Array.from({ length: CELLS * CELLS }, (_, place) => {
    let squares = 0;
    for (let k = 0; k < BINS; k++) squares += sums[k * CELLS * CELLS + place]! ** 2;
    return Math.sqrt(squares);
  });
  const mean = norms.reduce((sum, norm) => sum + norm, 0) / norms.length;
  return sums.map((sum, k) => sum / (norms[k % norms.length]! + SOFT * mean + TINY));
}

/** Ranks of the values of a raster, equal ones sharing their mean rank; -1 to 1. */
function ranks(raster: Float64Array): Float64Array {
  const q = Int32Array.from(raster, (value) => Math.floor(LEVELS * value + 0.5));
  const equal = new Int32Array(LEVELS + 2);
  for (const value of q) equal[value]!++;
  let smaller = 0;
  const rank = Float64Array.from(equal, (count) => {
    const found = (2 * smaller + count) / q.length - 1;
    smaller += count;
    return found;
  });
  return Float64Array.from(q, (value) => rank[value]!);
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
