"""A ridge from features of zones to their scores, and a probability of each level.

In closed form, so that a whole cross-validation takes seconds, and what it finds is a
linear layer: `cxr_jax.models.lung_zones` computes the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl
from scipy import optimize, special

from cxr_jax.models.lung_zones import EPSILON, LIMIT
from cxr_jax.stats.generator import generator
from tfds_builders.common.zones import LEVELS, ZONES

PENALTIES = (1.0, 3.0, 10.0, 30.0)
# Folds, by patient, in which the penalty and the levels are settled, and how often
# they are drawn: a single draw of few patients decides by chance.
INNER, DRAWS = 4, 3
_FAINT = 1e-3  # penalty of what turns a score into levels: a level that is never seen
_LIBRARIES = threadpoolctl.ThreadpoolController()


class Films(NamedTuple):
    """Of N films.

    Attributes:
      groups: features [N, 6, F] of each kind; every kind weighs the same.
      senior, junior: their scores [N, 6].
      patients: N names.
    """

    groups: Sequence[np.ndarray]
    senior: np.ndarray
    junior: np.ndarray
    patients: list[str]


class Fitted(NamedTuple):
    """The linear layer, and the penalty that was chosen.

    Attributes:
      mean, scale: of all features, [F]: (x - mean) scale, cut at LIMIT, is what the
        kernel is multiplied with.
      kernel: [F, 4]. bias: [6, 4].
      penalty: of PENALTIES.
    """

    mean: np.ndarray
    scale: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    penalty: float


def fit(films: Films, among: np.ndarray, seed: int = 0) -> Fitted:
    """Fits to some films, bool [N], and chooses everything in inner folds of them.

    A score is the mean of both readers'. The logit of level k is slope k s + offset k
    of the ridge's score s (adjacent categories: Agresti 2010, section 4.1), by maximum
    likelihood of what both readers say, where s is that of films held out.
    """
    # On a busy machine, threads of BLAS wait longer for each other than they compute.
    with _LIBRARIES.limit(limits=1, user_api="blas"):
        return _fit(films, np.flatnonzero(among), seed)


def probabilities(fitted: Fitted, groups: Sequence[np.ndarray]) -> np.ndarray:
    """[N, 6, 4], as the model computes them."""
    x = _standard(np.concatenate(groups, -1), fitted.mean, fitted.scale)
    return special.softmax(x @ fitted.kernel + fitted.bias, axis=-1)


def _fit(films: Films, among: np.ndarray, seed: int) -> Fitted:
    held = np.stack([_held(films, among, seed, draw) for draw in range(DRAWS)])
    senior, junior = films.senior[among], films.junior[among]
    errors = np.abs(np.clip(held, 0, LEVELS - 1) - senior).mean((0, 2, 3))
    best = int(errors.argmin())
    slope, offsets = _levels(held[:, best], senior, junior)
    (ridge,) = _ridges(films, among, PENALTIES[best : best + 1])
    steps = slope * np.arange(LEVELS)
    return Fitted(
        ridge.mean.astype(np.float32),
        ridge.scale.astype(np.float32),
        (ridge.weights[:, None] * steps).astype(np.float32),
        (ridge.prior[:, None] * steps + offsets).astype(np.float32),
        PENALTIES[best],
    )


def _held(films: Films, among: np.ndarray, seed: int, draw: int) -> np.ndarray:
    """Scores [penalties, n, 6] of films by ridges that never saw their patients."""
    names = [films.patients[i] for i in among]
    _, patient = np.unique(names, return_inverse=True)
    order = generator(seed, f"inner folds {draw}").permutation(patient.max() + 1)
    inner = order[patient] % INNER
    held = np.empty((len(PENALTIES), len(among), len(ZONES)))
    for part in np.unique(inner):
        own = inner == part
        ridges = _ridges(films, among[~own], PENALTIES)
        held[:, own] = [_score(films.groups, among[own], each) for each in ridges]
    return held


class _Ridge(NamedTuple):
    """score of a zone = prior + standardised features . weights."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    prior: np.ndarray


def _ridges(films: Films, among: np.ndarray, penalties) -> list[_Ridge]:
    """One for each penalty, of the same decomposition."""
    x = np.concatenate([each[among] for each in films.groups], -1).astype(np.float64)
    mean = x.mean((0, 1))
    scale = 1 / np.sqrt(x.var((0, 1)) + EPSILON)
    widths = [each.shape[-1] for each in films.groups]
    share = np.concatenate([np.full(width, width**-0.5) for width in widths])
    x = (_standard(x, mean, scale) * share).reshape(-1, x.shape[-1])
    scores = (films.senior[among] + films.junior[among]) / 2
    prior = scores.mean(0)
    values, vectors = np.linalg.eigh(x @ x.T)
    along = vectors.T @ (scores - prior).ravel()
    return [
        _Ridge(
            mean, scale, share * (x.T @ (vectors @ (along / (values + each)))), prior
        )
        for each in penalties
    ]


def _standard(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip((x - mean) * scale, -LIMIT, LIMIT)


def _score(groups, among: np.ndarray, ridge: _Ridge) -> np.ndarray:
    x = np.concatenate([each[among] for each in groups], -1)
    return _standard(x, ridge.mean, ridge.scale) @ ridge.weights + ridge.prior


def _levels(scores, senior, junior) -> tuple[float, np.ndarray]:
    """Slope and offsets [4], the first of which is 0.

    scores: [draws, n, 6]; senior, junior: [n, 6].
    """
    steps = np.arange(LEVELS)
    said = np.eye(LEVELS)[senior] / 2 + np.eye(LEVELS)[junior] / 2

    def loss(theta):
        offsets = np.concatenate([[0.0], theta[1:]])
        logits = theta[0] * scores[..., None] * steps + offsets
        off = (special.softmax(logits, -1) - said) / len(scores)
        value = -(special.log_softmax(logits, -1) * said).sum() / len(scores)
        slope = (off * scores[..., None] * steps).sum()
        slopes = np.concatenate([[slope], off.sum((0, 1, 2))[1:]])
        return value + _FAINT * (theta**2).sum(), slopes + 2 * _FAINT * theta

    found = optimize.minimize(loss, np.zeros(LEVELS), jac=True, method="BFGS").x
    return float(found[0]), np.concatenate([[0.0], found[1:]])
