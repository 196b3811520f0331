/** Keys as sentences: warnings about a file, and what the gate found. */

const WARNINGS: { [key: string]: string } = {
  images_coloured: "A colour picture, converted to grey.",
  images_of_16_bits: "16 bits, of which {} are used; scaled to the whole range.",
  images_not_quite_opaque: "An opacity channel was dropped; it is at least 99 % opaque.",
  images_turned: "Turned upright as its EXIF orientation ({}) says.",
  films_of_one_grey: "It shows nothing but one grey.",
  films_too_small: "A side of less than 32 pixels, in which no chest is to be seen.",
  dicom_turned: "Turned or mirrored so that the patient's right is at the left and the head up (PatientOrientation {}).",
  dicom_orientation_unclear: "PatientOrientation is not that of a frontal film; left as it is.",
  dicom_ignored: "Its header has {}, which was not applied.",
  dicom_functional_groups: "The functional groups of its header were obeyed.",
  dicom_pixels_not_square: "Its pixels are not square; their shape was kept.",
  dicom_for_processing: "A film for processing, not for presentation: raw values of the detector.",
  dicom_sign_contradicted: "The sign of its JPEG 2000 frame contradicts the header, which was obeyed.",
  dicom_sign_doubtful: "Its values look as if PixelRepresentation were wrong; the header was obeyed.",
  dicom_rle_rows_torn: "Some of its rows are torn: a few bytes of its run-length code were lost.",
  dicom_depth_contradicted: "Its compressed frame has fewer bits than the header says.",
  dicom_bits_left_out: "Rubbish, or an undeclared overlay, above its stored bits was left out.",
  dicom_polarity_contradicted: "Its pixels look inverted against its header, which was obeyed. Check black and white.",
  dicom_polarity_corrected: "Its pixels contradict the header's photometric interpretation; the pixels were obeyed.",
  dicom_names_person: "Its header may name a person ({}). Nothing of it is shown or stored.",
};

/** The sentence of a key of tfds_builders/common/counts.py. */
export function warningText(key: string): string {
  const [name, ...rest] = key.split(":");
  return (WARNINGS[name!] ?? key).replace("{}", rest.join(":"));
}

const FINDINGS: { [check: string]: { title: string; text: string } } = {
  blank: { title: "Blank", text: "It uses hardly any of the range of greys: no film, or an empty exposure." },
  size: { title: "Size", text: "It is too small, or too long and narrow, for a chest film." },
  polarity: { title: "Inverted", text: "Black and white seem to be exchanged." },
  orientation: { title: "Turned", text: "It seems to lie on its side, upside down, or mirrored." },
  cropped: { title: "Cropped", text: "The lungs seem to be incomplete." },
  view: { title: "View", text: "It does not look like a frontal chest film." },
  unlike_training: { title: "Unlike training", text: "The network sees little in it that it was trained on." },
};

export function findingText(check: string): { title: string; text: string } {
  return FINDINGS[check] ?? { title: check, text: "" };
}

export const KEYS: [string, string][] = [
  ["Left, Right", "narrow, widen the window"],
  ["Up, Down", "raise, lower the level"],
  ["Shift + arrows", "move the film"],
  ["+  −  0", "zoom in, zoom out, reset"],
  ["I", "invert"],
  ["Z", "zones"],
  ["H", "heat map"],
  ["N  P", "next, previous film"],
  ["O", "open films"],
  ["?", "this help"],
];

/** What is shown of a number: a decimal, a share. */
export function decimal(value: number, places = 1): string {
  return value.toFixed(places);
}

export function percent(value: number): string {
  const share = 100 * value;
  if (share > 0 && share < 1) return "<1 %";
  if (share < 100 && share > 99) return ">99 %";
  return `${Math.round(share)} %`;
}
