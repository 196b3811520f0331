"""Probabilities after temperature scaling; `calibration` fits the temperature.

Without SciPy, so that whoever only predicts does not need it.
"""

from __future__ import annotations

import numpy as np

# What float32 rounds to 0 is at most this.
_LEAST = float(np.finfo(np.float32).tiny)


def log_probabilities(probs: np.ndarray) -> np.ndarray:
    """Logits that the softmax turns into `probs`: float64, finite where a p is 0."""
    return np.log(np.maximum(np.asarray(probs, np.float64), _LEAST))


def tempered(probs: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities p ** (1 / T), normalised: [N, ..., K] float64."""
    logits = log_probabilities(probs) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
