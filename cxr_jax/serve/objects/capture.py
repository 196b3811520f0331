"""The picture: a Secondary Capture of the film with what the model makes of it."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from cxr_jax.predict.overlay import RESEARCH
from cxr_jax.runs import lettering
from cxr_jax.serve.objects import codes, instance, wording
from cxr_jax.serve.objects.instance import Kind, Subject

KIND = Kind(
    "sc", SecondaryCaptureImageStorage, "OT", 9002, "Picture of a model, research only"
)
_BAND, _FOOT, _EDGE = 40, 28, 14  # pixels
_LARGE, _SMALL = 0.7, 0.5  # of type
_PAPER, _INK = (255, 196, 77), (27, 31, 36)
_BLACK, _PALE = (0, 0, 0), (165, 172, 180)


def make(subject: Subject) -> Dataset:
    """The overlay, framed by what it is for and by whom it was made."""
    made = instance.new(subject, KIND)
    assert subject.result.overlay is not None
    bundle = subject.bundle
    model = f"{wording.model(bundle)}, bundle {bundle.digest[:12]}"
    pixels = _framed(subject.result.overlay, model)
    made.BodyPartExamined = "CHEST"
    made.ConversionType = "WSD"  # by a workstation
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.DerivationDescription = (
        "Reduced copy with a heat map, zones, figures and text burned in. "
        f"{wording.model(bundle)}. {RESEARCH}"
    )
    made.ImageComments = f"{wording.NO_DIAGNOSIS} {wording.COLOURS}"
    made.SourceImageSequence = [_image(subject)]
    made.PatientOrientation = list(subject.origin.orientation)
    # What we burn in names neither patient nor date (PS3.3, C.7.6.1); the film may.
    made.BurnedInAnnotation = subject.origin.burned_in
    made.RecognizableVisualFeatures = "NO"
    for name, value in subject.origin.lossy.items():
        setattr(made, name, value)
    made.SamplesPerPixel = 3
    made.PhotometricInterpretation = "RGB"
    made.PlanarConfiguration = 0
    made.Rows, made.Columns = pixels.shape[:2]
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelRepresentation = 0
    content = pixels.tobytes()
    made.PixelData = content + bytes(len(content) % 2)
    made["PixelData"].VR = "OB"
    return made


def _framed(overlay: np.ndarray, model: str) -> np.ndarray:
    wide = overlay.shape[1]
    room = wide - 2 * _EDGE
    band = np.full((_BAND, wide, 3), _PAPER, np.uint8)
    x = max(_EDGE, (wide - lettering.width(RESEARCH, _LARGE, 2)) // 2)
    lettering.write(band, RESEARCH, x, _BAND - 13, room, _INK, _LARGE, 2)
    foot = np.full((_FOOT, wide, 3), _BLACK, np.uint8)
    words = model.encode("ascii", "replace").decode()  # OpenCV has no other letters
    lettering.write(foot, words, _EDGE, _FOOT - 12, room, _PALE, _SMALL)
    return np.concatenate([band, overlay, foot])


def _image(subject: Subject) -> Dataset:
    item = instance.reference(subject.origin)
    item.PurposeOfReferenceCodeSequence = [codes.item(codes.SOURCE_IMAGE)]
    return item
