/** Look-up tables of a DICOM header (PS3.3, C.11.1.1 and C.11.2.1.1). */

import { FilmError, rint } from "../film";
import { bytesOf, elementOf, has, items, numbers, vrOf } from "./attributes";
import type { Header } from "./header";

/** One table: the first entry stands for `start` and all below it. */
export interface Lut {
  start: number;
  full: number; // the largest entry that its bits can hold
  data: ArrayLike<number>;
}

type Sequence = "ModalityLUTSequence" | "VOILUTSequence";

export function lookUp(lut: Lut, value: number): number {
  const index = Math.min(Math.max(rint(value - lut.start), 0), lut.data.length - 1);
  return lut.data[index]!;
}

/** The first table of a sequence; undefined where it holds none. */
export function readLut(header: Header, name: Sequence, low: number, high: number): Lut | undefined {
  const item = itemOf(header, name);
  if (!item) return undefined;
  const wrong = (found: string) =>
    new FilmError(`${name}${found}`, `Remove ${name} from the header, or export the file again.`);
  const lacks = (["LUTDescriptor", "LUTData"] as const).filter((part) => !has(item, part));
  if (lacks.length) throw wrong(` lacks ${lacks.join(", ")}`);
  const descriptor = numbers(item, "LUTDescriptor");
  if (descriptor.length !== 3) throw wrong(`: LUTDescriptor has ${descriptor.length} numbers instead of 3`);
  // Writers confuse US and SS; the 16 bits are the same.
  const count = descriptor[0]! & 0xffff || 65536;
  const start = descriptor[1]! & 0xffff;
  const bits = descriptor[2]!;
  const data = entries(item, count);
  // One byte more fills up a word.
  if (data.length < count || data.length > count + 1 || bits < 1 || bits > 16)
    throw wrong(`: ${data.length} entries of ${bits} bits, expected ${count}`);
  const used = data.subarray(0, count);
  let most = 0;
  for (const value of used) most = Math.max(most, value);
  if (most >= 2 ** bits)
    throw wrong(`: entries up to ${most}, more than the ${bits} bits hold that LUTDescriptor states`);
  return { start: signedStart(start, count, low, high), full: 2 ** bits - 1, data: used };
}

/** Whether a sequence is there whose first item holds no part of a table. */
export function isEmpty(header: Header, name: Sequence): boolean {
  return Boolean(items(header, name)?.length) && !itemOf(header, name);
}

function itemOf(header: Header, name: Sequence): Header | undefined {
  const item = items(header, name)?.[0];
  return item && (elementOf(item, "LUTDescriptor") || elementOf(item, "LUTData")) ? item : undefined;
}

function entries(item: Header, count: number): Uint8Array | Uint16Array {
  const element = elementOf(item, "LUTData")!;
  const bytes = bytesOf(item, element);
  const words = new Uint16Array(bytes.length >> 1);
  for (let k = 0; k < words.length; k++) words[k] = item.parser.readUint16(item.bytes, element.dataOffset + 2 * k);
  const opaque = ["OW", "OB"].includes(vrOf(element, "LUTData"));
  if (!opaque || words.length >= count) return words;
  // Two entries of 8 bits in each word, the lower first.
  return Uint8Array.from({ length: 2 * words.length }, (_, k) => (words[k >> 1]! >> (8 * (k & 1))) & 255);
}

/** The first value of a table, which is signed where the values are; writers confuse this too. */
function signedStart(start: number, count: number, low: number, high: number): number {
  const readings = start > 32767 ? [start, start - 65536] : [start];
  if (low < 0) readings.reverse();
  return readings.find((reading) => reading <= high && reading + count > low) ?? readings[0]!;
}
