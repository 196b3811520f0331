"""Which figures a report has, with what is said below each."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cxr_jax.data import roles
from cxr_jax.metrics.classification import slug
from cxr_jax.report import agreement, curves, flow, groups, headline, learning, tables
from cxr_jax.report.curves import Curve
from cxr_jax.report.material import Material
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.bootstrap import Estimate
from tfds_builders.common.zones import ZONES

# How builders word what they left out, beside what they only counted.
_LEFT_OUT = ("left out", "skipped", "cannot be read")


class Drawing(NamedTuple):
    """A figure of the report.

    Attributes:
      name: of its files, without their endings.
      title, caption: above and below it.
      figure: of matplotlib.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def of_test(material: Material) -> list[Drawing]:
    """How good it is: curves of classes, agreement of scores."""
    if material.labels is None:
        return []
    if material.config.task.name == "brixia":
        return _of_scores(material)
    return _of_classes(material)


def _of_classes(material: Material) -> list[Drawing]:
    found = headline.estimates(material, "test")
    classes = material.config.task.settings.classes
    thresholds = material.results["best"]["decision"]["thresholds"]
    two = len(classes) == 2
    listed = []
    for k, name in enumerate(classes):
        if two and k == 0:
            continue
        area = found.get("auroc" if two else f"auroc_{slug(name)}")
        positive, probs = material.labels[:, 0] == k, material.probs[:, 0, k]
        listed.append(Curve(name, positive, probs, thresholds[k], area))
    band = "No intervals: no resamples were asked for"
    if material.config.resamples:
        band = f"Band: 95 % bootstrap interval over {material.splits.test.unit}"
    against = "" if two else " Each class against all others."
    cells = material.results["confusion"]["test"]
    return [
        Drawing(
            "roc",
            "Sensitivity and specificity",
            f"{band}. The dot is the threshold settled on val; the line is a guess."
            + against,
            curves.roc(listed, material.counts),
        ),
        Drawing(
            "precision_recall",
            "Precision and recall",
            f"{band}. The line is the share of positives, which a guess reaches.{against}",
            curves.precision_recall(listed, material.counts),
        ),
        Drawing(
            "calibration",
            "Are the probabilities true?",
            "Ten bins of equally many cases; on the line they are. A hollow dot has no "
            f"interval, as where all or none are positive. Below: how often each probability is given.{against}",
            curves.calibration(listed, material.counts),
        ),
        Drawing(
            "decision",
            "Net benefit",
            f"{band}. True positives less false ones at the odds of the threshold, against "
            f"acting on all and on none (Vickers and Elkin 2006).{against}",
            curves.decision(listed, material.counts),
        ),
        Drawing(
            "confusion",
            "What was called what",
            "Images, and their share of what was read so.",
            agreement.confusion(np.array(cells["target_by_called"]), list(classes)),
        ),
    ]


def _of_scores(material: Material) -> list[Drawing]:
    found = headline.estimates(material, "test")
    expected = material.probs @ np.arange(material.probs.shape[-1])
    target, total = material.labels.sum(axis=1), expected.sum(axis=1)
    second = material.splits.test.table.get("scores_junior")
    if second is not None and not np.isfinite(second).all(axis=1).any():
        second = None
    limits = [found[f"limits_{side}_global"] for side in ("low", "high")]
    cells = material.results["confusion"]["test"]
    spread = (
        " Grey: where 95 % of a second reader's scores lie."
        if second is not None
        else " There is no second reader of these films."
    )
    return [
        Drawing(
            "scatter",
            "Predicted against read",
            "Global score, 0 to 18; on the line they agree." + spread,
            agreement.scatter(
                target, total, None if second is None else second.sum(axis=1)
            ),
        ),
        Drawing(
            "bland_altman",
            "Differences",
            "Predicted less read, against their mean; bias and 95 % limits of agreement "
            "with their intervals (Bland and Altman 1986).",
            agreement.bland_altman(target, total, found["bias_global"], *limits),
        ),
        Drawing(
            "zones",
            "Error by zone",
            "Mean absolute error, of 3 points, as the zones lie on the film: A to C are "
            "the patient's right lung.",
            agreement.zones(
                {z: found[f"mae_zone_{z}"] for z in ZONES}, _constant(material)
            ),
        ),
        Drawing(
            "confusion",
            "Zones, read and predicted",
            "Rounded scores of all zones, and their share of what was read so.",
            agreement.confusion(
                np.array(cells["target_by_called"]),
                [str(c) for c in cells["classes"]],
                ("read", "predicted"),
            ),
        ),
    ]


def _constant(material: Material) -> dict[str, Estimate] | None:
    """{zone: error} of the median that training would always give."""
    medians = material.results["best"]["decision"].get("median")
    if medians is None:
        return None
    errors = np.abs(material.labels - np.array(medians))
    return {
        zone: bootstrap.estimate(
            partial(weighted.mean, errors[:, z]), material.counts, undefined="no images"
        )
        for z, zone in enumerate(ZONES)
    }


def of_training(material: Material) -> Drawing:
    """The way there."""
    best = material.results["best"]
    metric = best["metric"].removeprefix("val/")
    return Drawing(
        "learning",
        "The way there",
        f"The checkpoint of step {best['step']:,} had the best {metric} on val and is "
        "the one that was tested.",
        learning.curves(material.history, best["metric"], best["step"]),
    )


def of_data(material: Material) -> Drawing:
    """From the release to train, val and test."""
    parts = {role: tables.contents(material, role) for role in roles.ROLES}
    unit = material.splits.test.unit
    counts = material.metadata.get("counts")
    whole = sum(part["images"] for part in parts.values())
    return Drawing(
        "flow",
        "From what was prepared to train, val and test",
        "What is counted while the dataset is built is in the table below.",
        flow.diagram(
            [(f"images of {material.results['dataset']}", whole)],
            None
            if counts is None
            else [
                (what, number)
                for what, number in counts.items()
                if number and any(word in what for word in _LEFT_OUT)
            ],
            parts,
            unit,
        ),
    )


def of_model_audit(audit: dict[str, Any]) -> list[Drawing]:
    """What the model stands on."""
    name, whole = audit["figure"], audit["whole"]
    return [
        Drawing(
            "hidden",
            "With parts of the picture hidden",
            "What is left without a lung is a shortcut. The line is a guess.",
            groups.hidden(audit["hidden"], whole, audit["chance"], name),
        ),
        Drawing(
            "altered",
            "On altered pictures",
            "Each kind in five strengths, with intervals; the band is the picture as it is.",
            groups.strengths(audit["altered"], whole, name),
        ),
    ]


def of_groups(rows, whole: Estimate, name: str) -> Drawing:
    """The main figure in every group; rows: (attribute, group, images, Estimate)."""
    return Drawing(
        "groups",
        "By group",
        "Groups of 20 images and more; the band is all images. One interval in twenty "
        "misses by chance.",
        groups.forest(rows, whole, name),
    )
