"""Temperature and vector scaling of probabilities, fitted on val.

Guo et al. 2017, arXiv 1706.04599. One number T divides the logits: T > 1 makes a model
less confident, T < 1 more so, and the most probable class never changes. Probabilities
give the logits up to a constant per row, which the softmax ignores; so everything here
takes probabilities, as the predictions of a run are stored.

Common shapes: probs [N, ..., K] and labels [N, ...] of whole numbers 0..K-1; the axes
between, such as the 6 zones, are pooled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from cxr_jax.stats.tempering import log_probabilities

# A val split without an error, or one no better than chance, would need a T of 0 or
# infinity: it is kept within these.
LOWEST, HIGHEST = 0.05, 20.0


def log_losses(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log of the probability of the true class, in nats: [N, ...]."""
    logits = log_probabilities(probs)
    return -np.take_along_axis(logits, np.asarray(labels)[..., None], -1)[..., 0]


def fit_temperature(probs: np.ndarray, labels: np.ndarray) -> float:
    """The T that minimises the mean log loss of `tempered(probs, T)`.

    The loss is convex in 1 / T, so the zero of its slope is the only minimum: found by
    Brent's method, to 10 digits. LOWEST or HIGHEST where the minimum lies beyond them,
    and 1 where T makes no difference: all classes are equally probable everywhere, or
    there is no image.
    """
    if not np.size(labels):
        return 1.0
    logits = log_probabilities(probs)
    logits = logits.reshape(-1, logits.shape[-1])
    logits = logits - logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(logits, np.asarray(labels).reshape(-1, 1), 1)[:, 0]

    def slope(inverse: float) -> float:
        weights = scipy.special.softmax(inverse * logits, axis=1)
        return float(np.mean((weights * logits).sum(axis=1) - chosen))

    low, high = slope(1 / HIGHEST), slope(1 / LOWEST)
    if low == high == 0:
        return 1.0
    if low >= 0:
        return HIGHEST
    if high <= 0:
        return LOWEST
    from scipy import optimize  # here, for commands that fit nothing

    inverse: Any = optimize.brentq(
        slope, 1 / HIGHEST, 1 / LOWEST, rtol=np.float64(1e-10)
    )
    return 1 / float(inverse)


def vector_scaled(probs: np.ndarray, scale, shift) -> np.ndarray:
    """Softmax of scale * logits + shift, a number of each for every class.

    Guo et al. 2017, section 4.2. Unlike a temperature it can change which class is the
    most probable.
    """
    logits = _centred(probs) * np.asarray(scale) + np.asarray(shift)
    return scipy.special.softmax(logits, axis=-1)


def fit_vector(probs: np.ndarray, labels: np.ndarray) -> tuple[list, list]:
    """The (scale [K], shift [K]) that minimise the mean log loss, by L-BFGS.

    A weak pull towards (1, 0), worth one image, keeps them finite where a class is
    always right or does not occur; the shifts sum to 0. Without an image nothing changes.
    """
    classes = probs.shape[-1]
    if not np.size(labels):
        return [1.0] * classes, [0.0] * classes
    logits = _centred(probs).reshape(-1, classes)
    hit = np.asarray(labels).reshape(-1, 1) == np.arange(classes)
    start = np.r_[np.ones(classes), np.zeros(classes)]

    def loss(found):
        scaled = logits * found[:classes] + found[classes:]
        gap = scipy.special.softmax(scaled, axis=1) - hit
        log = scipy.special.logsumexp(scaled, axis=1) - (scaled * hit).sum(axis=1)
        pull = found - start
        slope = np.r_[(gap * logits).sum(axis=0), gap.sum(axis=0)] + pull
        return (log.sum() + 0.5 * pull @ pull) / len(hit), slope / len(hit)

    from scipy import optimize

    best = optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x
    shift = best[classes:] - best[classes:].mean()
    return best[:classes].tolist(), shift.tolist()


def _centred(probs: np.ndarray) -> np.ndarray:
    """Logits that sum to 0: the softmax leaves a constant undetermined."""
    logits = log_probabilities(probs)
    return logits - logits.mean(axis=-1, keepdims=True)
