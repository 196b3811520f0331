/** A film as a small square of area averages (cxr_jax/gate/raster.py). */

interface Pixels {
  width: number;
  height: number;
  data: Uint8Array | Uint16Array;
}

/**
 * The means of side x side equal boxes of a film, as shares of the full range: [side * side].
 *
 * Weights are whole numbers, and sums stay below 2^53: only the division rounds.
 */
export function raster({ width, height, data }: Pixels, full: number, side: number): Float64Array {
  const sums = new Float64Array(side * side);
  const across = boxes(width, side);
  const row = new Float64Array(side);
  for (let i = 0; i < side; i++) {
    for (let y = Math.floor((i * height) / side); y < Math.ceil(((i + 1) * height) / side); y++) {
      const weight = overlap(i, y, height, side);
      row.fill(0);
      for (let j = 0; j < side; j++) {
        const { first, last, weights } = across[j]!;
        let sum = 0;
        for (let x = first; x < last; x++) sum += weights[x - first]! * data[y * width + x]!;
        row[j] = sum;
      }
      for (let j = 0; j < side; j++) sums[i * side + j]! += weight * row[j]!;
    }
  }
  return sums.map((sum) => sum / (height * width * full));
}

function boxes(size: number, side: number) {
  return Array.from({ length: side }, (_, j) => {
    const first = Math.floor((j * size) / side);
    const last = Math.ceil(((j + 1) * size) / side);
    const weights = Float64Array.from({ length: last - first }, (_, k) => overlap(j, first + k, size, side));
    return { first, last, weights };
  });
}

function overlap(box: number, pixel: number, size: number, side: number): number {
  return Math.max(0, Math.min((box + 1) * size, (pixel + 1) * side) - Math.max(box * size, pixel * side));
}
