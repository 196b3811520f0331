/** Grey pixels [height, width], air dark, and what was done to get them. */
export interface Film {
  width: number;
  height: number;
  data: Uint8Array | Uint16Array;
  /** Keys of tfds_builders/common/counts.py: what was contradictory or done. */
  notes: string[];
  /** What the file says of itself, for the reader; no name of a person. */
  about: string[];
}

/** The largest value that the pixels can hold. */
export function full(data: Uint8Array | Uint16Array): 255 | 65535 {
  return data.BYTES_PER_ELEMENT === 1 ? 255 : 65535;
}

/** A file that cannot be used: what was found in it, and what to do. */
export class FilmError extends Error {
  constructor(
    readonly found: string,
    readonly hint: string,
  ) {
    super(`${found}\n  -> ${hint}`);
    this.name = "FilmError";
  }
}

export const AGAIN = "Copy the file from its source again.";

/** Rounds to the nearest whole number, and halves to the even one, as NumPy does. */
export function rint(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest < 0.5) return low;
  if (rest > 0.5) return low + 1;
  return low % 2 === 0 ? low : low + 1;
}

const MOST_PIXELS = 100e6;
const MOST_BYTES = 300e6;

/** Throws where a picture has more pixels than a radiograph (tfds_builders/common/limits.py). */
export function checkPixels(rows: number, columns: number): void {
  if (rows * columns > MOST_PIXELS)
    throw new FilmError(
      `${rows} x ${columns} pixels, more than 100 million`,
      "Leave the file out: no radiograph is as large as that.",
    );
}

/** Throws where a file, or what is in it, is larger than a radiograph. */
export function checkBytes(size: number, what: string): void {
  if (size > MOST_BYTES)
    throw new FilmError(
      `${what} of ${Math.round(size / 1e6)} MB or more, above the limit of 300 MB`,
      "Leave the file out: no radiograph is as large as that.",
    );
}
