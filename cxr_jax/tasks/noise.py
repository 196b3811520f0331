"""Label noise: a share of the training labels made wrong, as careless readers would."""

from __future__ import annotations

import numpy as np

from cxr_jax import rng
from cxr_jax.tasks.task import Arrays


def add(targets: Arrays, share: float, levels: int, seed: int) -> Arrays:
    """The targets of a training split with a share of their labels made wrong.

    Symmetric noise: a label that is hit becomes one of the others, each with the same
    chance (Angluin and Laird 1988, doi 10.1007/BF00116829). Zones are hit one by one.

    Args:
      targets: {name: int [N, ...]} of 0 .. levels - 1.
      share: chance of each label.
      levels: number of classes, or of scores.
      seed: of the run; the same labels are wrong in every epoch.
    """
    if not share:
        return targets
    noisy = {}
    for name, labels in targets.items():
        generator = rng.generator(seed, f"label_noise/{name}")
        hit = generator.random(labels.shape) < share
        other = (labels + generator.integers(1, levels, labels.shape)) % levels
        noisy[name] = np.where(hit, other, labels).astype(labels.dtype)
    return noisy
