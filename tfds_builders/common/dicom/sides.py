"""Which way a radiograph lies, and which attributes of a header are not applied."""

from tfds_builders.common import orientation
from tfds_builders.common.dicom.attributes import code, codes, has, numbers
from tfds_builders.common.dicom.layout import OVERLAYS

# PS3.3, C.7.6.1.1.1: where the rows run to, and where the columns do. L\F is the usual
# view of a chest: the patient's right at the left, the head up.
_ORIENTATIONS = {
    "LF": 1,
    "RF": 2,
    "RH": 3,
    "LH": 4,
    "FL": 5,
    "FR": 6,
    "HR": 7,
    "HL": 8,
}
_DIRECTIONS = ("LR", "PA", "HF")  # of the patient's axes: towards + and - (C.7.6.2.1.1)
_LATERAL_VIEWS = ("LL", "RL", "LATERAL", "LAT")
_OVERLAY_DATA = 0x3000  # PS3.3, C.9.2: drawn over the picture by a viewer
_SQUARE = 0.01  # relative difference between the sides of a pixel


def orientation_of(path, header) -> int:
    """How to turn the picture, as EXIF numbers it; 1 where that is not clear."""
    return _ORIENTATIONS.get("".join(_directions(path, header)), orientation.UPRIGHT)


def notes(path, header) -> tuple[str, ...]:
    """Keys of counts.COUNTS: what was turned, and what was not applied."""
    found = []
    directions = _directions(path, header)
    name = "".join(directions)
    if _ORIENTATIONS.get(name, orientation.UPRIGHT) != orientation.UPRIGHT:
        found.append(f"dicom_turned:{name[0]}\\{name[1]}")
    elif name and name not in _ORIENTATIONS and not _is_lateral(header, name):
        found.append("dicom_orientation_unclear")
    found += [f"dicom_ignored:{each}" for each in _ignored(header)]
    if not _is_square(path, header):
        found.append("dicom_pixels_not_square")
    if code(header, "PresentationIntentType") == "FOR PROCESSING":
        found.append("dicom_for_processing")
    return tuple(found)


def _directions(path, header) -> tuple[str, ...]:
    """Where rows and columns run to, mainly; () if the header does not say."""
    given = codes(header, "PatientOrientation")
    if given:
        return tuple(each[:1] or "?" for each in given)
    cosines = numbers(path, header, "ImageOrientationPatient")
    if len(cosines) != 6:
        return ()
    return tuple(_main(cosines[:3]) + _main(cosines[3:]))


def _main(cosines: list[float]) -> str:
    axis = max(range(3), key=lambda k: abs(cosines[k]))
    return _DIRECTIONS[axis][cosines[axis] < 0]


def _is_lateral(header, directions: str) -> bool:
    """An upright lateral film, of which either side may face the viewer."""
    return directions in ("AF", "PF") and code(header, "ViewPosition") in _LATERAL_VIEWS


def _ignored(header) -> list[str]:
    """Attributes that would change the picture and are not applied."""
    found = [
        name
        for name in (
            "PresentationLUTSequence",
            "ShutterShape",
            "MaskSubtractionSequence",
        )
        if header.get(name)
    ]
    # General Image module: INVERSE goes with MONOCHROME1 and IDENTITY with MONOCHROME2.
    # The photometric interpretation is obeyed; to invert twice would undo it.
    shape = code(header, "PresentationLUTShape")
    inverse = code(header, "PhotometricInterpretation") == "MONOCHROME1"
    if shape and shape != ("INVERSE" if inverse else "IDENTITY"):
        found.append("PresentationLUTShape")
    # Those of a presentation state, which do not belong into an image.
    if code(header, "ImageHorizontalFlip") == "Y":
        found.append("ImageHorizontalFlip")
    if has(header, "ImageRotation") and str(header.get("ImageRotation")) != "0":
        found.append("ImageRotation")
    if any((group, _OVERLAY_DATA) in header for group in OVERLAYS):
        found.append("OverlayData")
    return found


def _is_square(path, header) -> bool:
    for name in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        sides = numbers(path, header, name)
        if len(sides) == 2 and min(sides) > 0:
            return abs(sides[0] / sides[1] - 1) <= _SQUARE
    return True
