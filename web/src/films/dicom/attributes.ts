/** Single values of a DICOM header: texts, codes and numbers, whatever was written. */

import type { DataSet, Element } from "dicom-parser";
import { FilmError } from "../film";
import { type Header, latin } from "./header";

/** The attributes that matter to a picture: tag, and VR where the file does not say. */
export const TAGS = {
  SOPClassUID: ["x00080016", "UI"],
  Modality: ["x00080060", "CS"],
  PresentationIntentType: ["x00080068", "CS"],
  Manufacturer: ["x00080070", "LO"],
  ViewPosition: ["x00185101", "CS"],
  PatientID: ["x00100020", "LO"],
  ImagerPixelSpacing: ["x00181164", "DS"],
  ShutterShape: ["x00181600", "CS"],
  PatientOrientation: ["x00200020", "CS"],
  ImageOrientationPatient: ["x00200037", "DS"],
  SamplesPerPixel: ["x00280002", "US"],
  PhotometricInterpretation: ["x00280004", "CS"],
  NumberOfFrames: ["x00280008", "IS"],
  Rows: ["x00280010", "US"],
  Columns: ["x00280011", "US"],
  PixelSpacing: ["x00280030", "DS"],
  PixelAspectRatio: ["x00280034", "IS"],
  BitsAllocated: ["x00280100", "US"],
  BitsStored: ["x00280101", "US"],
  HighBit: ["x00280102", "US"],
  PixelRepresentation: ["x00280103", "US"],
  PixelPaddingValue: ["x00280120", "US"],
  PixelPaddingRangeLimit: ["x00280121", "US"],
  BurnedInAnnotation: ["x00280301", "CS"],
  WindowCenter: ["x00281050", "DS"],
  WindowWidth: ["x00281051", "DS"],
  RescaleIntercept: ["x00281052", "DS"],
  RescaleSlope: ["x00281053", "DS"],
  VOILUTFunction: ["x00281056", "CS"],
  ModalityLUTSequence: ["x00283000", "SQ"],
  LUTDescriptor: ["x00283002", "US"],
  LUTData: ["x00283006", "OW"],
  VOILUTSequence: ["x00283010", "SQ"],
  ImageHorizontalFlip: ["x00700041", "CS"],
  ImageRotation: ["x00700042", "US"],
  MaskSubtractionSequence: ["x00286100", "SQ"],
  PresentationLUTSequence: ["x20500010", "SQ"],
  PresentationLUTShape: ["x20500020", "CS"],
  PatientIdentityRemoved: ["x00120062", "CS"],
  SharedFunctionalGroupsSequence: ["x52009229", "SQ"],
  PerFrameFunctionalGroupsSequence: ["x52009230", "SQ"],
  PixelValueTransformationSequence: ["x00289145", "SQ"],
  FrameVOILUTSequence: ["x00289132", "SQ"],
  PatientOrientationInFrameSequence: ["x00209450", "SQ"],
  PlaneOrientationSequence: ["x00209116", "SQ"],
  PixelMeasuresSequence: ["x00289110", "SQ"],
} as const;

export type Name = keyof typeof TAGS;

const TEXTS = ["AS", "CS", "DS", "IS", "LO", "SH", "UI", "UT", "LT", "ST", "UC", "UR"];
const CODE = /^[A-Z0-9_ ]{1,16}$/; // the VR CS (PS3.5, table 6.2-1)
const QUOTABLE = /^([\d.,+\-eE]{1,16}|[+-]?(nan|inf|infinity))$/i;
const FLOAT = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function elementOf(header: Header, name: Name): Element | undefined {
  return header.elements[TAGS[name][0]];
}

/** The items of a sequence, as headers; undefined where it is absent. */
export function items(header: Header, name: Name): Header[] | undefined {
  const element = elementOf(header, name);
  if (!element) return undefined;
  return (element.items ?? []).flatMap((item) =>
    item.dataSet ? [{ ...header, elements: (item.dataSet as DataSet).elements }] : [],
  );
}

export function bytesOf(header: Header, element: Element): Uint8Array {
  return header.bytes.subarray(element.dataOffset, element.dataOffset + element.length);
}

/** The VR of an attribute: that of the file, or of the standard where it says none. */
export function vrOf(element: Element, name: Name): string {
  return element.vr && element.vr !== "UN" ? element.vr : TAGS[name][1];
}

/** Values as they are written, without spaces; empty ones are left out. */
export function raw(header: Header, name: Name): string[] {
  const element = elementOf(header, name);
  if (!element) return [];
  const vr = vrOf(element, name);
  const bytes = bytesOf(header, element);
  const values = TEXTS.includes(vr) ? latin(bytes).split("\\") : binary(header, element, vr);
  return values.map((value) => value.replace(/^[\0 ]+|[\0 ]+$/g, "")).filter((value) => value);
}

const WIDTHS: Record<string, number> = { US: 2, SS: 2, UL: 4, SL: 4, FL: 4, FD: 8 };

function binary(header: Header, element: Element, vr: string): string[] {
  const width = WIDTHS[vr];
  if (!width) return element.length ? [`${element.length} bytes`] : [];
  const { parser, bytes } = header;
  const read = {
    US: parser.readUint16,
    SS: parser.readInt16,
    UL: parser.readUint32,
    SL: parser.readInt32,
    FL: parser.readFloat,
    FD: parser.readDouble,
  }[vr]!;
  const count = Math.floor(element.length / width);
  return Array.from({ length: count }, (_, k) => String(read(bytes, element.dataOffset + k * width)));
}

/** The value of an attribute, as text without spaces around it; '' if absent. */
export function text(header: Header, name: Name): string {
  return raw(header, name).join("\\").trim();
}

/** The value of an attribute with VR CS, upper case; '' for anything else. */
export function code(header: Header, name: Name): string {
  const value = text(header, name).toUpperCase();
  return CODE.test(value) ? value : "";
}

/** The values of an attribute with several, such as L\F. */
export function codes(header: Header, name: Name): string[] {
  return raw(header, name).map((value) => (CODE.test(value.toUpperCase()) ? value.toUpperCase() : ""));
}

/** Whether an attribute is there and not empty. */
export function has(header: Header, name: Name): boolean {
  return raw(header, name).length > 0;
}

/** The values of a numeric attribute; throws where one is not a finite number. */
export function numbers(header: Header, name: Name): number[] {
  return raw(header, name).map((value) => {
    const number = FLOAT.test(value) ? Number(value) : NaN;
    if (!Number.isFinite(number)) {
      const shown = QUOTABLE.test(value) ? value : "text";
      throw new FilmError(`${name} is ${shown}, not a number`, correct(name));
    }
    return number;
  });
}

/** The value of a numeric attribute that has one; throws where several differ. */
export function number(header: Header, name: Name): number | undefined {
  const found = numbers(header, name);
  if (new Set(found).size > 1)
    throw new FilmError(
      `${name} has ${found.length} values where one belongs (${found.slice(0, 4).join(", ")})`,
      correct(name),
    );
  return found[0];
}

/** The value of a whole-number attribute that has one. */
export function integer(header: Header, name: Name, otherwise?: number): number {
  const found = number(header, name);
  if (found === undefined) {
    if (otherwise !== undefined) return otherwise;
    throw new FilmError(`the header lacks ${name}`, correct(name));
  }
  if (!Number.isInteger(found)) throw new FilmError(`${name} is ${found}, not a whole number`, correct(name));
  return found;
}

function correct(name: string): string {
  return `Correct ${name} in the header, or export the file again.`;
}
