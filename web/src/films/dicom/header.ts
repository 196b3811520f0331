/** Opening DICOM files, including those without a file header (PS3.10). */

import dicomParser from "dicom-parser";
import type { ByteArrayParser, DataSet, Element } from "dicom-parser";
import { AGAIN, checkBytes, FilmError } from "../film";
import { unpackEven } from "../unpack";

export const IMPLICIT = "1.2.840.10008.1.2";
export const EXPLICIT = "1.2.840.10008.1.2.1";
export const DEFLATED = "1.2.840.10008.1.2.1.99";
export const BIG = "1.2.840.10008.1.2.2";
export const NATIVE = [IMPLICIT, EXPLICIT, DEFLATED, BIG];

export const PIXELS = "x7fe00010";
const LONG = ["OB", "OW", "UN", "SQ", "UT"]; // explicit VRs with a length of 4 bytes
const LONG_VRS = [...LONG, "OD", "OF", "OL", "OV", "UC", "UR", "SV", "UV"];
const VRS =
  "AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split(" ");

/** A data set of a file: its attributes, and how they are encoded. */
export interface Header {
  bytes: Uint8Array;
  elements: Record<string, Element>;
  parser: ByteArrayParser;
  little: boolean;
  syntax: string;
}

/** Whether a file may be DICOM: by its mark, or by how a data set begins. */
export function isDicom(file: Uint8Array): boolean {
  return marked(file) > 0 || [[2, 0], [8, 0], [0, 8]].some(([a, b]) => file[0] === a && file[1] === b);
}

/** The data set of a DICOM file. Throws FilmError where it is none, or is damaged. */
export async function openDicom(file: Uint8Array): Promise<Header> {
  checkBytes(file.length, "a file");
  if (!isDicom(file)) throw new FilmError(file.length ? "not a DICOM file" : "the file is empty", AGAIN);
  const begin = marked(file);
  const { at, syntax } = fileMeta(file, begin);
  if (syntax === DEFLATED) {
    const data = await unpackEven(file.subarray(at), 300e6);
    if (!data) throw new FilmError("truncated or damaged deflated data", AGAIN);
    return checked({ ...parse(data, EXPLICIT), syntax });
  }
  const data = file.subarray(at);
  return checked(syntax ? parse(data, syntax) : guess(data));
}

/** Where the file meta information begins; 0 where there is no mark. */
function marked(file: Uint8Array): number {
  const mark = (at: number) => String.fromCharCode(...file.subarray(at, at + 4)) === "DICM";
  return mark(128) ? 132 : mark(0) ? 4 : 0;
}

/** Where the file meta information (group 2) ends, and its transfer syntax. */
function fileMeta(file: Uint8Array, at: number): { at: number; syntax: string } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let syntax = "";
  while (at + 12 <= file.length && view.getUint16(at, true) === 2) {
    const element = view.getUint16(at + 2, true);
    const vr = latin(file.subarray(at + 4, at + 6));
    let length = view.getUint16(at + 6, true);
    at += 8;
    if (LONG.includes(vr)) {
      length = view.getUint32(at, true);
      at += 4;
    }
    if (element === 0x0010) syntax = latin(file.subarray(at, at + length)).replace(/^[\0 ]+|[\0 ]+$/g, "");
    at += length;
  }
  return { at, syntax };
}

export function latin(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

/** The attributes up to the pixels, in one encoding. */
function parse(data: Uint8Array, syntax: string): Header {
  const uid = syntax + "\0".repeat(syntax.length % 2);
  const meta = new Uint8Array(132 + 8 + uid.length + data.length);
  meta.set([...("DICM" as string)].map((c) => c.charCodeAt(0)), 128);
  meta.set([2, 0, 0x10, 0, 0x55, 0x49, uid.length, 0], 132);
  meta.set([...uid].map((c) => c.charCodeAt(0)), 140);
  meta.set(data, 140 + uid.length);
  let set: DataSet;
  try {
    set = dicomParser.parseDicom(meta, { untilTag: PIXELS });
  } catch {
    throw new FilmError("a truncated or damaged DICOM file", AGAIN);
  }
  return {
    bytes: meta,
    elements: set.elements,
    parser: set.byteArrayParser,
    little: syntax !== BIG,
    syntax,
  };
}

/** The data set in the one encoding that fits it, down to whole pixel data. */
function guess(data: Uint8Array): Header {
  const explicit = VRS.includes(latin(data.subarray(4, 6)));
  const fits = (explicit ? [EXPLICIT, BIG] : [IMPLICIT]).flatMap((syntax) => {
    try {
      const header = parse(data, syntax);
      const [rows, columns, allocated] = ["x00280010", "x00280011", "x00280100"].map((tag) => {
        const element = header.elements[tag];
        return element ? header.parser.readUint16(header.bytes, element.dataOffset) : 0;
      });
      const size = (rows! * columns! * allocated!) / 8;
      const pixels = header.elements[PIXELS];
      const there = pixels && header.bytes.length - pixels.dataOffset;
      const whole = pixels && (pixels.hadUndefinedLength || (pixels.length >= size && there! >= size));
      return size && whole ? [header] : [];
    } catch {
      return [];
    }
  });
  if (fits.length !== 1)
    throw new FilmError(
      "no transfer syntax, and the data fits no encoding: truncated, damaged, deflated, or without pixels",
      "Export the file again as a DICOM file with its header (dcmtk: dcmconv +F).",
    );
  return fits[0]!;
}

/** The header, unless something follows the pixels that is no attribute: bytes were added then. */
function checked(header: Header): Header {
  const pixels = header.elements[PIXELS];
  if (!pixels) return header;
  const { bytes, little, syntax } = header;
  let at = pixels.hadUndefinedLength ? afterItems(bytes, pixels.dataOffset) : pixels.dataOffset + pixels.length;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  while (at + 8 <= bytes.length) {
    const [group, element] = [view.getUint16(at, little), view.getUint16(at + 2, little)];
    if (!group && !element) {
      at += 8; // zeros fill a block
      continue;
    }
    const vr = latin(bytes.subarray(at + 4, at + 6));
    const short = syntax !== IMPLICIT && VRS.includes(vr) && !LONG_VRS.includes(vr);
    const long = syntax !== IMPLICIT && LONG_VRS.includes(vr);
    const place = at + (long ? 8 : short ? 6 : 4);
    const size = place + 4 <= bytes.length ? (short ? view.getUint16(place, little) : view.getUint32(place, little)) : NaN;
    const known = group % 2 === 1 || group === 0xfffa || group === 0xfffc;
    const end = place + (short ? 2 : 4) + size;
    const whole = end <= bytes.length || size === 0xffffffff;
    if (!known || group * 65536 + element < 0x7fe00010 || !whole)
      throw new FilmError("data behind its pixels that are no attribute", AGAIN);
    if (size === 0xffffffff) break;
    at = end;
  }
  return header;
}

function afterItems(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  while (at + 8 <= bytes.length) {
    const element = view.getUint16(at + 2, true);
    const length = view.getUint32(at + 4, true);
    if (view.getUint16(at, true) !== 0xfffe) return bytes.length; // read_cells says what is wrong
    if (element === 0xe0dd) return at + 8;
    at += 8 + length;
  }
  return bytes.length;
}
