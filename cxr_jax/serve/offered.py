"""What a node takes: classes of images, and the transfer syntaxes that are decoded."""

from __future__ import annotations

import importlib.util

from pydicom import uid
from pynetdicom import sop_class
from pynetdicom.presentation import PresentationContext, build_context

CLASSES = (
    sop_class.ComputedRadiographyImageStorage,
    sop_class.DigitalXRayImageStorageForPresentation,
    sop_class.DigitalXRayImageStorageForProcessing,
    sop_class.DigitalMammographyXRayImageStorageForPresentation,
    sop_class.DigitalMammographyXRayImageStorageForProcessing,
    sop_class.SecondaryCaptureImageStorage,
    sop_class.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    sop_class.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)
NATIVE = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
)
# Those of docs/dicom.md that need imagecodecs.
COMPRESSED = (
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)


def contexts() -> list[PresentationContext]:
    """What is accepted here: C-ECHO, and images that this installation decodes."""
    syntaxes = list(NATIVE)
    if importlib.util.find_spec("imagecodecs"):
        syntaxes += COMPRESSED
    return [
        build_context(sop_class.Verification),
        *(build_context(each, syntaxes) for each in CLASSES),
    ]
