"""The figures of a report and their captions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cxr_jax.data import roles
from cxr_jax.evaluation.subgroups import LEAST, Row
from cxr_jax.metrics.classification import slug
from cxr_jax.metrics.registry import metric
from cxr_jax.report import headline, tables
from cxr_jax.report.figures import audited, curves, flow, learning, scores
from cxr_jax.report.figures.curves import Curve
from cxr_jax.report.material import Material
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.counts import count_of


class Drawing(NamedTuple):
    """A figure of the report.

    Attributes:
      name: of its files, without suffixes.
      title, caption: above and below it.
      figure: a matplotlib figure.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def of_test(material: Material) -> list[Drawing]:
    """Returns the curves of classes, or the agreement of scores."""
    if material.task.probabilities is None:
        return []
    if material.task.probabilities.is_graded:
        return _of_scores(material)
    return _of_classes(material)


def _of_classes(material: Material) -> list[Drawing]:
    found = headline.estimates(material, "test")
    classes = material.task.probabilities.classes
    thresholds = material.results["best"]["decision"]["thresholds"]
    two = material.task.probabilities.is_binary
    listed = []
    for k, name in enumerate(classes):
        if two and k == 0:
            continue
        area = found.get("auroc" if two else f"auroc_{slug(name)}")
        positive, probs = material.labels[:, 0] == k, material.probs[:, 0, k]
        listed.append(Curve(name, positive, probs, thresholds[k], area))
    band = "No intervals: config.resamples is 0"
    if material.config.resamples:
        band = f"Band: 95 % bootstrap interval over {material.splits.test.unit}"
    rest = "" if two else " Each class against the rest."
    cells = material.results["confusion"]["test"]
    return [
        Drawing(
            "roc",
            "ROC curve",
            f"{band}. Dot: the threshold chosen on val. Dashed: chance.{rest}",
            curves.roc(listed, material.counts),
        ),
        Drawing(
            "precision_recall",
            "Precision-recall curve",
            f"{band}. Dashed: the share of positives, which chance reaches.{rest}",
            curves.precision_recall(listed, material.counts),
        ),
        Drawing(
            "calibration",
            "Calibration",
            "Ten bins of equally many cases; perfect calibration lies on the line. "
            "Hollow: no interval, because all or none are positive. Below: histogram "
            f"of the predicted probabilities.{rest}",
            curves.calibration(listed, material.counts),
        ),
        Drawing(
            "decision",
            "Decision curve",
            f"{band}. Net benefit: true positives minus false ones, weighted by the odds "
            "of the threshold; all and none: treat everyone or no one (Vickers, Elkin 2006)."
            + rest,
            curves.decision(listed, material.counts),
        ),
        Drawing(
            "confusion",
            "Confusion matrix",
            "Numbers of images, and shares of the reference class.",
            scores.confusion(np.array(cells["target_by_called"]), list(classes)),
        ),
    ]


def _of_scores(material: Material) -> list[Drawing]:
    found = headline.estimates(material, "test")
    zones = material.task.probabilities.questions
    expected = material.probs @ np.arange(material.probs.shape[-1])
    target, total = material.labels.sum(axis=1), expected.sum(axis=1)
    second = material.splits.test.table.get("scores_junior")
    if second is not None and not np.isfinite(second).all(axis=1).any():
        second = None
    limits = [found[f"limits_{side}_global"] for side in ("low", "high")]
    cells = material.results["confusion"]["test"]
    spread = " Grey: 95 % limits of a second reader." * (second is not None)
    return [
        Drawing(
            "scatter",
            "Predicted and reference scores",
            "Global score, 0 to 18; the line is perfect agreement." + spread,
            scores.scatter(
                target, total, None if second is None else second.sum(axis=1)
            ),
        ),
        Drawing(
            "bland_altman",
            "Bland-Altman plot",
            "Predicted minus reference against their mean; bias and 95 % limits of "
            "agreement with their intervals (Bland and Altman 1986).",
            scores.bland_altman(target, total, found["bias_global"], *limits),
        ),
        Drawing(
            "zones",
            "Error by zone",
            "Mean absolute error (zone scores 0 to 3), laid out as on the film: A to C "
            "are the patient's right lung.",
            scores.zones(
                {z: found[f"mae_zone_{z}"] for z in zones}, _constant(material)
            ),
        ),
        Drawing(
            "confusion",
            "Confusion matrix of zones",
            "Rounded scores of all zones, and shares of the reference score.",
            scores.confusion(
                np.array(cells["target_by_called"]),
                [str(c) for c in cells["classes"]],
                ("reference", "predicted"),
            ),
        ),
    ]


def _constant(material: Material) -> dict[str, Estimate] | None:
    """Returns {zone: error} of always predicting the training median."""
    medians = material.results["best"]["decision"].get("median")
    if medians is None:
        return None
    errors = np.abs(material.labels - np.array(medians))
    return {
        zone: bootstrap.estimate(
            partial(weighted.mean, errors[:, z]), material.counts, undefined="no images"
        )
        for z, zone in enumerate(material.task.probabilities.questions)
    }


def of_training(material: Material) -> list[Drawing]:
    """Returns the loss and the metric that chose the checkpoint."""
    best = material.results["best"]
    label = metric(best["metric"].removeprefix("val/")).label
    loss, chosen = learning.curves(material.history, best["metric"], best["step"])
    return [
        Drawing("loss", "Loss", "Dashed: the checkpoint that was tested.", loss),
        Drawing(
            "learning",
            f"{label} on val",
            f"The checkpoint of step {best['step']:,} was best and was the one tested.",
            chosen,
        ),
    ]


def of_data(material: Material) -> Drawing:
    """Returns the flow of images from the release to train, val and test."""
    parts = {role: tables.contents(material, role) for role in roles.ROLES}
    counts = material.metadata.get("counts")
    excluded = None
    if counts is not None:
        known = [(count_of(key), number) for key, number in counts.items() if number]
        excluded = [(c.text, number) for c, number in known if c.kind == "left_out"]
    return Drawing(
        "flow",
        "Flow of images",
        "After CONSORT and STARD. The table below has every count of the build.",
        flow.diagram(
            material.results["dataset"],
            excluded,
            parts,
            material.splits.test.unit,
        ),
    )


def of_model_audit(audit: dict[str, Any]) -> list[Drawing]:
    """Returns what the model relies on, and what it withstands."""
    name, whole = metric(audit["figure"]).label, audit["whole"]
    return [
        Drawing(
            "hidden",
            "Parts of the image hidden",
            "Performance that remains without lungs is a shortcut. Dashed: chance.",
            audited.hidden(audit["hidden"], whole, audit["chance"], name),
        ),
        Drawing(
            "altered",
            "Altered images",
            "Each alteration at five strengths, with intervals; band: unaltered.",
            audited.strengths(audit["altered"], whole, name),
        ),
    ]


def of_groups(rows: Sequence[Row], whole: Estimate, name: str) -> Drawing:
    """Returns the main metric in every group in which it is defined."""
    shown = [(r.attribute, r.name, r.images, r.figures[name]) for r in rows]
    return Drawing(
        "groups",
        f"{metric(name).label} by group",
        f"Groups of at least {LEAST} images; band: all images. One interval in twenty "
        "misses by chance.",
        audited.forest(shown, whole, metric(name).label),
    )
