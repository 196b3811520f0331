"""The report: Comprehensive 3D SR after TID 1500 (PS3.16), through highdicom."""

from __future__ import annotations

from typing import Any

import highdicom.sr as hd
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

import cxr_jax
from cxr_jax.predict.recipe import BRIXIA
from cxr_jax.serve.objects import codes, instance, wording
from cxr_jax.serve.objects.instance import Kind, Subject

KIND = Kind(
    "sr", Comprehensive3DSRStorage, "SR", 9001, "Scores of a model, research only"
)
_DECIMALS = 2  # of a score and of a percentage: more than a reader can use
_IMAGE = hd.SourceImageForMeasurementGroup


def make(subject: Subject) -> Dataset:
    """The report on a film; of one that the gate turned away, that and why.

    The tree is highdicom's. The document about it is ours: highdicom's looks at the
    clock, and takes as long as all the rest.
    """
    made = instance.new(subject, KIND)
    # SR Document General (PS3.3, C.17.2): nobody has verified it, nor will.
    made.CompletionFlag = "COMPLETE"
    made.VerificationFlag = "UNVERIFIED"
    made.PreliminaryFlag = "PRELIMINARY"
    made.ReferencedPerformedProcedureStepSequence = []
    made.PerformedProcedureCodeSequence = []
    made.CurrentRequestedProcedureEvidenceSequence = [_evidence(subject)]
    for element in _content(subject):
        made[element.tag] = element
    return made


def _evidence(subject: Subject) -> Dataset:
    """The film in its series in its study (PS3.3, table C.17-3)."""
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = subject.origin.series
    series.ReferencedSOPSequence = [instance.reference(subject.origin)]
    study.StudyInstanceUID = subject.origin.study
    study.ReferencedSeriesSequence = [series]
    return study


def _content(subject: Subject) -> Dataset:
    root = hd.MeasurementReport(
        observation_context=_observer(subject),
        procedure_reported=codes.PROCEDURE,
        imaging_measurements=_groups(subject),
        title=codes.TITLE,
    )[0]
    remarks = wording.remarks(subject.result, subject.bundle)
    texts = [
        hd.TextContentItem(codes.COMMENT, text, hd.RelationshipTypeValues.CONTAINS)
        for text in (wording.NO_DIAGNOSIS, *remarks, wording.provenance(subject.bundle))
    ]
    # Before the measurements: whoever reads on has read them.
    place = len(root.ContentSequence) - 1
    for text in reversed(texts):
        root.ContentSequence.insert(place, text)
    _separate(root)
    return root


def _separate(item: Dataset) -> None:
    """Marks containers as lists: in running text, names of figures are not shown."""
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for each in item.get("ContentSequence", ()):
        _separate(each)


def _observer(subject: Subject) -> hd.ObservationContext:
    device = hd.DeviceObserverIdentifyingAttributes(
        uid=instance.uid(subject, KIND, "device"),
        name=subject.bundle.recipe.name,
        manufacturer_name=instance.MAKER,
        model_name=subject.bundle.recipe.name,
        serial_number=subject.bundle.digest,
    )
    kind = hd.CodedConcept("121007", "DCM", "Device")
    return hd.ObservationContext(
        observer_device_context=hd.ObserverContext(kind, device)
    )


def _groups(subject: Subject) -> list[hd.MeasurementsAndQualitativeEvaluations]:
    recipe = subject.bundle.recipe
    if not wording.is_scored(subject.result):
        return [_group(subject, "Film", [_check(subject)], [])]
    if recipe.task == BRIXIA:
        zones = [_zone(subject, zone) for zone in recipe.questions]
        return [_whole(subject), *zones]
    return [_classes(subject)]


def _group(
    subject: Subject,
    name: str,
    evaluations: list[hd.QualitativeEvaluation],
    measurements: list[hd.Measurement],
    **arguments: Any,
) -> hd.MeasurementsAndQualitativeEvaluations:
    origin = subject.origin
    return hd.MeasurementsAndQualitativeEvaluations(
        hd.TrackingIdentifier(instance.uid(subject, KIND, name), name),
        algorithm_id=_algorithm(subject),
        qualitative_evaluations=evaluations,
        measurements=measurements,
        source_images=[_IMAGE(str(origin.sop_class), str(origin.sop))],
        **arguments,
    )


def _algorithm(subject: Subject) -> hd.AlgorithmIdentification:
    bundle = subject.bundle
    return hd.AlgorithmIdentification(
        name=bundle.recipe.name,
        version=f"{instance.MAKER} {cxr_jax.__version__}",
        parameters=[f"bundle SHA-256 {bundle.digest}"],
        manufacturer=instance.MAKER,
    )


def _whole(subject: Subject) -> hd.MeasurementsAndQualitativeEvaluations:
    """The global score, its interval, the confidence, and the check of the film."""
    record, decision = subject.result.record, subject.bundle.recipe.decision
    measured = [_number(codes.GLOBAL, record["global"], codes.MEAN)]
    if record["global_low"] != "":
        lower, upper = (codes.bound(s, decision.coverage) for s in ("lower", "upper"))
        measured.append(_number(lower, record["global_low"]))
        measured.append(_number(upper, record["global_high"]))
    measured.append(_percent(codes.CONFIDENCE, record["confidence"]))
    return _group(
        subject,
        "Both lungs",
        [_check(subject)],
        measured,
        method=codes.METHOD,
        finding_sites=[hd.FindingSite(codes.LUNG, codes.BOTH)],
    )


def _zone(subject: Subject, zone: str) -> hd.MeasurementsAndQualitativeEvaluations:
    record, recipe = subject.result.record, subject.bundle.recipe
    probabilities = [float(record[f"prob_{zone}{k}"]) for k in recipe.classes]
    level = recipe.classes[probabilities.index(max(probabilities))]
    measured = [
        _number(codes.SCORE, record[f"expected_{zone}"], codes.MEAN),
        _number(codes.LEVEL, level, codes.MODE),
        *(
            _percent(codes.level_probability(k), value)
            for k, value in zip(recipe.classes, probabilities, strict=True)
        ),
    ]
    part, side = codes.SITES[zone]
    return _group(
        subject,
        f"Zone {zone}",
        [_set(subject, record[f"set_{zone}"])],
        measured,
        method=codes.METHOD,
        finding_sites=[hd.FindingSite(part, side)],
    )


def _classes(subject: Subject) -> hd.MeasurementsAndQualitativeEvaluations:
    record, recipe = subject.result.record, subject.bundle.recipe
    called = codes.named("class", record["called"], record["called"])
    measured = [
        _percent(codes.class_probability(name), record[f"prob_{name}"])
        for name in recipe.classes
    ]
    measured.append(_percent(codes.CONFIDENCE, record["confidence"]))
    return _group(
        subject,
        "Film",
        [
            _check(subject),
            hd.QualitativeEvaluation(codes.CALLED, called),
            _set(subject, record["set"]),
        ],
        measured,
        method=codes.CLASSES,
        finding_sites=[hd.FindingSite(codes.LUNG, codes.BOTH)],
    )


def _check(subject: Subject) -> hd.QualitativeEvaluation:
    gate = subject.result.record["gate"]
    return hd.QualitativeEvaluation(codes.CHECK, codes.CHECKS[gate])


def _set(subject: Subject, members: str) -> hd.QualitativeEvaluation:
    coverage = subject.bundle.recipe.decision.coverage
    return hd.QualitativeEvaluation(
        codes.prediction_set(coverage), codes.members(members)
    )


def _number(name: Code, value: Any, derivation: Code | None = None) -> hd.Measurement:
    number = round(float(value), _DECIMALS)
    return hd.Measurement(name, number, codes.SCORE_UNIT, derivation=derivation)


def _percent(name: Code, probability: Any) -> hd.Measurement:
    number = round(100 * float(probability), _DECIMALS)
    return hd.Measurement(name, number, codes.PERCENT)
