/** Which way a radiograph lies, and which attributes of a header are not applied. */

import { UPRIGHT } from "../orientation";
import { code, codes, elementOf, has, items, numbers, text } from "./attributes";
import type { Header } from "./header";
import { OVERLAYS } from "./layout";

// PS3.3, C.7.6.1.1.1: where the rows run to, and where the columns do. L\F is the usual
// view of a chest: the patient's right at the left, the head up.
const ORIENTATIONS: Record<string, number> = { LF: 1, RF: 2, RH: 3, LH: 4, FL: 5, FR: 6, HR: 7, HL: 8 };
const DIRECTIONS = ["LR", "PA", "HF"] as const; // of the patient's axes: + and - (C.7.6.2.1.1)

/** How to turn the picture, as EXIF numbers it; 1 where that is not clear. */
export function orientationOf(header: Header): number {
  return ORIENTATIONS[directions(header).join("")] ?? UPRIGHT;
}

/** Keys: what was turned, and what was not applied. */
export function sideNotes(header: Header): string[] {
  const found = [];
  const [rows, columns] = directions(header);
  const name = directions(header).join("");
  const lateral =
    ["AF", "PF"].includes(name) && ["LL", "RL", "LATERAL", "LAT"].includes(code(header, "ViewPosition"));
  if ((ORIENTATIONS[name] ?? UPRIGHT) !== UPRIGHT) found.push(`dicom_turned:${rows}\\${columns}`);
  else if (name && !(name in ORIENTATIONS) && !lateral) found.push("dicom_orientation_unclear");
  found.push(...ignored(header).map((each) => `dicom_ignored:${each}`));
  if (!isSquare(header)) found.push("dicom_pixels_not_square");
  if (code(header, "PresentationIntentType") === "FOR PROCESSING") found.push("dicom_for_processing");
  return found;
}

/** Where rows and columns run to, mainly; none if the header does not say. */
function directions(header: Header): string[] {
  const given = codes(header, "PatientOrientation");
  if (given.length) return given.map((each) => each[0] ?? "?");
  const cosines = numbers(header, "ImageOrientationPatient");
  return cosines.length === 6 ? [main(cosines.slice(0, 3)), main(cosines.slice(3))] : [];
}

function main(cosines: number[]): string {
  const sizes = cosines.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes));
  return DIRECTIONS[axis]![cosines[axis]! < 0 ? 1 : 0]!;
}

function ignored(header: Header): string[] {
  const found: string[] = [];
  if (items(header, "PresentationLUTSequence")?.length) found.push("PresentationLUTSequence");
  if (elementOf(header, "ShutterShape") && has(header, "ShutterShape")) found.push("ShutterShape");
  if (items(header, "MaskSubtractionSequence")?.length) found.push("MaskSubtractionSequence");
  // INVERSE goes with MONOCHROME1 and IDENTITY with MONOCHROME2; to invert twice would undo it.
  const shape = code(header, "PresentationLUTShape");
  const inverse = code(header, "PhotometricInterpretation") === "MONOCHROME1";
  if (shape && shape !== (inverse ? "INVERSE" : "IDENTITY")) found.push("PresentationLUTShape");
  if (code(header, "ImageHorizontalFlip") === "Y") found.push("ImageHorizontalFlip");
  if (has(header, "ImageRotation") && text(header, "ImageRotation") !== "0") found.push("ImageRotation");
  if (OVERLAYS.some((group) => header.elements[`x${group.toString(16)}3000`])) found.push("OverlayData");
  return found;
}

function isSquare(header: Header): boolean {
  for (const name of ["PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"] as const) {
    const sides = numbers(header, name);
    if (sides.length === 2 && Math.min(...sides) > 0) return Math.abs(sides[0]! / sides[1]! - 1) <= 0.01;
  }
  return true;
}
