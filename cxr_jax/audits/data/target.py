"""What a model learns from a dataset: a class of each image, a score, or nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax.data.split import Split
from cxr_jax.tasks import make_task
from tfds_builders.common.errors import InputError


class Target(NamedTuple):
    """The label of every image.

    Attributes:
      name: 'label' or 'global score'; '' where the dataset has neither.
      classes: their names; of a score, those it is cut into for a classifier.
      index: int [N] into `classes`, -1 unknown.
      score: float64 [N], or None where the label is a class.
      zones: int [N, Z] scores by zone, or None.
    """

    name: str
    classes: tuple[str, ...]
    index: np.ndarray
    score: np.ndarray | None = None
    zones: np.ndarray | None = None


def of_task(config: ConfigDict, splits: list[Split]) -> Target:
    """What `config.task` would be trained on.

    Raises:
      InputError: the dataset does not have it.
    """
    task = make_task(config)
    found = [task.targets(split) for split in splits]
    if "scores" in found[0]:
        return _of_zones(np.concatenate([targets["scores"] for targets in found]))
    if "label" not in found[0]:
        raise InputError(
            "config.task.name",
            f"is {config.name!r}, which has no classes or scores to audit",
            "audit the dataset: --mode=audit --dataset=NAME instead of --config",
        )
    index = np.concatenate([targets["label"] for targets in found])
    return Target("label", task.probabilities.classes, index.astype(np.int64))


def of_columns(table: dict[str, Any], label_names: dict[str, Any]) -> Target:
    """The class `label`, else the `scores` of zones, else a `global_score`, else none.

    Args:
      table: columns of N rows.
      label_names: {column: names} of the columns that are class labels.
    """
    if "label" in label_names:
        return Target("label", tuple(label_names["label"]), np.array(table["label"]))
    if "scores" in table:
        return _of_zones(np.asarray(table["scores"]))
    if "global_score" in table:
        return _of_score(np.asarray(table["global_score"], np.float64))
    images = len(next(iter(table.values())))
    return Target("", (), np.full(images, -1))


def _of_zones(zones: np.ndarray) -> Target:
    unknown = (zones < 0).any(axis=1)
    total = np.where(unknown, np.nan, zones.sum(axis=1))
    return _of_score(total)._replace(zones=np.where(unknown[:, None], -1, zones))


def _of_score(score: np.ndarray) -> Target:
    """A classifier needs classes: the score is cut above its median."""
    known = np.isfinite(score) & (score >= 0)
    score = np.where(known, score, np.nan)
    median = float(np.median(score[known])) if known.any() else 0.0
    with np.errstate(invalid="ignore"):
        index = np.where(known, score > median, -1).astype(np.int64)
    classes = (f"score <= {median:g}", f"score > {median:g}")
    return Target("global score", classes, index, score)
