"""How often each class occurs in the splits of a run, and which are never trained."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cxr_jax.tasks import Task

# Shares of a class in two splits that differ by so much are worth a word.
APART = 0.1


def count(task: Task, targets: dict[str, np.ndarray]) -> dict[str, int]:
    """{class: images of it}, or zones of each score; {} where there are no labels."""
    if task.probabilities is None:
        return {}
    classes = task.probabilities.classes
    found = np.bincount(np.ravel(targets[task.label]), minlength=len(classes))
    return dict(zip(classes, found.tolist(), strict=True))


def untrained(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Classes of which train has no image, so that the model cannot know them.

    counts: {'train', 'val', 'test': of `count`}.
    """
    return [name for name, images in counts["train"].items() if not images]


def largest_gap(
    counts: Mapping[str, Mapping[str, int]],
) -> tuple[str, dict[str, float]]:
    """(class, its share in each split) where the shares lie furthest apart.

    Splits are dealt by patient and not by class, so in a small one they differ by chance.
    ('', {}) where there are no labels.
    """
    shares = {
        name: {
            role: own[name] / total
            for role, own in counts.items()
            if (total := sum(own.values()))
        }
        for name in counts["train"]
    }
    if not shares:
        return "", {}
    name = max(shares, key=lambda name: np.ptp(list(shares[name].values())))
    return name, shares[name]
