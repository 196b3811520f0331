"""From probabilities to the class that is called."""

from __future__ import annotations

import numpy as np


def decide(probs, thresholds) -> np.ndarray:
    """The class called for each image, [N]: by threshold for two, else the argmax.

    thresholds: [K], or [N, K] where every image has its own.
    """
    probs = np.asarray(probs, np.float64)
    if probs.shape[1] == 2:
        return (probs[:, 1] >= np.asarray(thresholds)[..., 1]).astype(int)
    return probs.argmax(axis=1)
