"""What a dataset holds: images, classes, scores, sizes, and what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.data import attributes
from cxr_jax.data.fingerprints import Pictures
from tfds_builders.common.zones import LEVELS, ZONES

UNLABELLED = "no label"


def describe(dataset: Dataset, shown: Pictures) -> dict[str, Any]:
    """All of it, as JSON values."""
    return {
        "splits": {
            split: _split(dataset, dataset.split == split) for split in dataset.splits
        },
        "missing": {
            name: int(absent.sum())
            for name, column in sorted(dataset.table.items())
            if (absent := _missing(column)).any()
        },
        "pictures": _pictures(shown),
    }


def _split(dataset: Dataset, here: np.ndarray) -> dict[str, Any]:
    target = dataset.target
    index = target.index[here]
    patients = np.asarray(dataset.table["patient_id"])[here]
    found: dict[str, Any] = {
        "images": int(here.sum()),
        dataset.unit: len(np.unique(patients)),
    }
    if target.classes:
        found["classes"] = {
            name: int((index == k).sum()) for k, name in enumerate(target.classes)
        }
        found[UNLABELLED] = int((index < 0).sum())
    if target.score is not None:
        score = target.score[here]
        score = score[np.isfinite(score)]
        found["score"] = {
            "mean": float(score.mean()) if len(score) else None,
            "sd": float(score.std()) if len(score) else None,
        }
    if target.zones is not None:
        found["zones"] = _zones(target.zones[here & (target.index >= 0)])
    return found


def _zones(zones: np.ndarray) -> dict[str, list[int]]:
    """{zone: images of each level}; zones: int [N, 6]."""
    return {
        zone: np.bincount(scores, minlength=LEVELS).tolist()
        for zone, scores in zip(ZONES, zones.T, strict=True)
    }


def _missing(column) -> np.ndarray:
    """bool [N]; of several values for an image, where all of them are missing."""
    absent = attributes.missing(column)
    return absent.reshape(len(absent), -1).all(axis=1)


def _pictures(shown: Pictures) -> dict[str, Any]:
    kinds, counts = np.unique(shown.dtype, return_counts=True)
    sizes = np.unique(np.stack([shown.height, shown.width]), axis=1)
    return {
        "type": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
        "sizes": sizes.shape[1],
        "height": _spread(shown.height),
        "width": _spread(shown.width),
        "share_at_lowest_value": _spread(shown.lowest),
        "share_at_highest_value": _spread(shown.highest),
        "blank": int(shown.blank.sum()),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    values = np.asarray(values, np.float64)
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }
