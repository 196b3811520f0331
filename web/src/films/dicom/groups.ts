/** The functional groups of an enhanced object with one frame (PS3.3, C.7.6.16). */

import { items, type Name, TAGS } from "./attributes";
import type { Header } from "./header";

const MACROS: [Name, Name[]][] = [
  ["PixelValueTransformationSequence", ["RescaleSlope", "RescaleIntercept"]],
  ["FrameVOILUTSequence", ["WindowCenter", "WindowWidth", "VOILUTFunction"]],
  ["PatientOrientationInFrameSequence", ["PatientOrientation"]],
  ["PlaneOrientationSequence", ["ImageOrientationPatient"]],
  ["PixelMeasuresSequence", ["PixelSpacing"]],
];

/** Puts what the groups say of the frame into the header itself; whether they say anything. */
export function applyGroups(header: Header): boolean {
  let found = false;
  for (const groups of ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"] as const)
    for (const group of items(header, groups)?.slice(0, 1) ?? [])
      for (const [macro, names] of MACROS)
        for (const item of items(group, macro)?.slice(0, 1) ?? [])
          for (const name of names) {
            const element = item.elements[TAGS[name][0]];
            if (!element) continue;
            header.elements[TAGS[name][0]] = element;
            found = true;
          }
  return found;
}
