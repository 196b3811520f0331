"""What stands first: the figures that count, each beside what it has to be held to."""

from __future__ import annotations

from typing import NamedTuple

from cxr_jax.report.material import Material
from cxr_jax.runs import results
from cxr_jax.stats.bootstrap import Estimate

# (metric, what it is, {what it is held to: metric of the same file, or a number}).
_BRIXIA = (
    (
        "mae_zone",
        "Mean error of a zone, of 0 to 3 points",
        {
            "always the median": "mae_zone_constant",
            "one reader from the other": "mae_zone_junior_reader",
        },
    ),
    (
        "mae_global",
        "Mean error of the global score, of 0 to 18",
        {
            "always the median": "mae_global_constant",
            "one reader from the other": "mae_global_junior_reader",
        },
    ),
    (
        "icc_global",
        "Agreement with the reader, ICC(2,1) of the global score",
        {"two readers": "icc_global_junior_reader"},
    ),
    (
        "kappa_zone",
        "Agreement by zone, quadratic kappa",
        {"two readers": "kappa_zone_junior_reader"},
    ),
)
# What is no null of a model, but a reader to be as good as.
READERS = ("one reader from the other", "two readers")
_TWO_CLASSES = (
    ("auroc", "Area under the ROC curve", {"a guess": 0.5}),
    ("auprc", "Area under the precision-recall curve", {"a guess": "prevalence"}),
    ("sensitivity", "Sensitivity at the threshold settled on val", {}),
    ("specificity", "Specificity at the same threshold", {}),
)
_CLASSES = (
    ("auroc_macro", "Area under the ROC curve, mean of the classes", {"a guess": 0.5}),
    (
        "accuracy",
        "Share of images called right",
        {"always the commonest class": "accuracy_constant"},
    ),
    ("balanced_accuracy", "Mean sensitivity of the classes", {}),
    ("macro_f1", "Mean F1 of the classes", {"always the commonest": "macro_f1_constant"}),
)  # fmt: skip
_OTHERS = {
    "segment": (
        ("dice", "Overlap of the lung mask, Dice", {"always the same": "dice_constant"}),
        ("iou", "The same as intersection over union", {"always the same": "iou_constant"}),
    ),
    "align": (
        (
            "mae_corner",
            "Corners of the frame off by, percent of a side",
            {"the mean frame": "mae_corner_constant"},
        ),
        (
            "mae_rotation",
            "Rotation off by, degrees",
            {"the mean frame": "mae_rotation_constant"},
        ),
    ),
    "contrast": (
        ("retrieval", "Views whose nearest is their other view", {}),
        ("loss", "Loss", {"a guess": "loss_constant"}),
    ),
}  # fmt: skip


class Headline(NamedTuple):
    """A figure that counts.

    Attributes:
      metric: as results.json has it.
      title: in words.
      estimate: on test.
      beside: {what it is held to: figure}.
    """

    metric: str
    title: str
    estimate: Estimate
    beside: dict[str, Estimate]


def headlines(material: Material) -> list[Headline]:
    """Those of the task that the run has."""
    found = estimates(material, "test")
    listed = []
    for metric, title, beside in _chosen(material):
        if metric in found:
            held = {
                what: _number(other) if isinstance(other, float) else found.get(other)
                for what, other in beside.items()
            }
            known = {what: value for what, value in held.items() if value is not None}
            listed.append(Headline(metric, title, found[metric], known))
    return listed


def estimates(material: Material, role: str) -> dict[str, Estimate]:
    """{metric: Estimate} of 'test' or 'val'."""
    return results.estimates(material.results, f"{role}/")


def main_metric(material: Material) -> str:
    """The first of them: 'mae_zone', 'auroc', 'auroc_macro', 'dice', ..."""
    return _chosen(material)[0][0]


def _chosen(material: Material):
    task = material.config.task
    if task.name == "brixia":
        return _BRIXIA
    if task.name == "classify":
        return _TWO_CLASSES if len(task.settings.classes) == 2 else _CLASSES
    return _OTHERS[task.name]


def _number(value: float) -> Estimate:
    nan = float("nan")
    return Estimate(value, nan, nan, 0)
