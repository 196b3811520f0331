"""The coded concepts of a report: SNOMED CT and DICOM's own where they have one."""

from __future__ import annotations

import hashlib

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

# Of what no public scheme has a code for (PS3.3, 8.2: 99 and a name).
SCHEME, SCHEME_NAME = "99CXRJAX", "Codes of cxr_jax"
_CODE_LENGTH, _MEANING_LENGTH = 16, 64  # characters (PS3.5: SH, LO)

TITLE = codes.DCM.ImagingMeasurementReport
PROCEDURE = Code("399208008", "SCT", "Plain chest X-ray")
COMMENT = codes.DCM.Comment
SOURCE_IMAGE = Code(
    "121322", "DCM", "Source image for image processing operation"
)  # PS3.16, CID 7202
PERCENT = codes.UCUM.Percent
# Without a dimension: UCUM's annotation, a word in braces, which reads better than 1.
SCORE_UNIT = Code("{score}", "UCUM", "score")
MEAN, MODE = codes.SCT.Mean, codes.SCT.Mode

LUNG, BOTH = codes.SCT.Lung, codes.SCT.Bilateral
_ROWS = (
    codes.SCT.UpperZoneOfLung,
    codes.SCT.MiddleZoneOfLung,
    codes.SCT.LowerZoneOfLung,
)  # PS3.16, CID 6171
# {zone: (part of the lung, side of the patient)}, as of `tfds_builders.common.zones`.
SITES = {
    **dict(zip("ABC", ((row, codes.SCT.Right) for row in _ROWS), strict=True)),
    **dict(zip("DEF", ((row, codes.SCT.Left) for row in _ROWS), strict=True)),
}


def own(value: str, meaning: str) -> Code:
    """A code of this project; the meaning is cut to what fits."""
    if len(value) > _CODE_LENGTH:
        raise ValueError(f"{value!r} has more than {_CODE_LENGTH} characters")
    return Code(value, SCHEME, meaning[:_MEANING_LENGTH])


def named(kind: str, meaning: str, name: str) -> Code:
    """A code of this project for something that has a name of any length.

    Args:
      kind: at most 5 letters, before a digest of the name.
      meaning: for people, with the name in it.
      name: of a class, or of several.
    """
    return own(f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:10]}", meaning)


SCORE = own("zone-score", "Brixia score of the zone, expected")
LEVEL = own("zone-level", "Brixia score of the zone, most probable")
GLOBAL = own("global-score", "Brixia global score, expected (0 to 18)")
CONFIDENCE = own("confidence", "Calibrated confidence of the model")
CHECK = own("film-check", "Check of the film before scoring")
CALLED = own("called", "Class called")
METHOD = own("brixia", "Brixia score (Borghesi and Maroldi 2020)")
CLASSES = own("classes", "Classification of the film")
# Of the check, by `record.GATES`.
CHECKS = {
    "passed": own("check-passed", "Passed"),
    "refused": own("check-refused", "Refused: the film was not scored"),
    "warned": own("check-warned", "Failed: scored all the same, as configured"),
    "off": own("check-off", "Not done: there is none, or it is switched off"),
}


def level_probability(level: str) -> Code:
    """Of one score of a zone."""
    return own(f"prob-{level}", f"Probability of score {level}")


def class_probability(name: str) -> Code:
    """Of a class of the model."""
    return named("prob", f"Probability of {name}", name)


def bound(side: str, coverage: float) -> Code:
    """An end of the interval of the global score. side: 'lower' or 'upper'."""
    share = f"{coverage:.0%}".replace("%", " %")
    return named(
        side[:5],
        f"Brixia global score, {side} end of the {share} interval",
        f"{coverage:g}",
    )


def prediction_set(coverage: float) -> Code:
    """The question which answers cannot be left out."""
    share = f"{coverage:.0%}".replace("%", " %")
    return named("set", f"Prediction set ({share} coverage)", f"{coverage:g}")


def members(texts: str) -> Code:
    """The answer to it: 'COVID|Normal' of a record."""
    meaning = ", ".join(texts.split("|")) if texts else "none"
    return named("of", meaning, texts)


def scheme_item() -> Dataset:
    """Who answers for SCHEME (PS3.3, C.12.1, Coding Scheme Identification)."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = SCHEME_NAME
    item.CodingSchemeResponsibleOrganization = "cxr_jax"
    return item


def item(code: Code) -> Dataset:
    """As an item of a code sequence."""
    made = Dataset()
    made.CodeValue = code.value
    made.CodingSchemeDesignator = code.scheme_designator
    made.CodeMeaning = code.meaning
    return made
