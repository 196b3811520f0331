"""The functional groups of an enhanced object with one frame (PS3.3, C.7.6.16)."""

import pydicom

# Macros that change the picture, and what they hold.
_MACROS = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PatientOrientationInFrameSequence": ("PatientOrientation",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing",),
}


def apply_groups(header: pydicom.Dataset) -> bool:
    """Put what the functional groups say of the frame into the header itself.

    Those of the frame go before those that all frames share, and both before the same
    attribute outside, where an enhanced object does not have it.

    Returns: whether they say anything.
    """
    found = {}
    for groups in (
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    ):
        for group in (header.get(groups) or [])[:1]:
            for macro, names in _MACROS.items():
                for item in (group.get(macro) or [])[:1]:
                    found.update({n: item.get_item(n) for n in names if n in item})
    for element in found.values():
        header[element.tag] = element
    return bool(found)
