"""A Gate from films of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl

from cxr_jax.gate import altered, distance, gradients, logistic
from cxr_jax.gate.fitted import Distance, Gate, Map
from cxr_jax.gate.judge import flatness
from cxr_jax.gate.raster import raster
from cxr_jax.stats.generator import generator
from tfds_builders.common.errors import InputError

LEAST = 20  # films
MOST = 600
RATE = 0.01
_FOLDS = 5
_SIDE = 128  # of the rasters of which parts are cut
_BATCH = 32  # films
_FLAT = 0.98
_SHORTEST = 64  # pixels
_ASPECT = 2.0

Films = Sequence[np.ndarray]
FeaturesOf = Callable[[list[np.ndarray]], np.ndarray]
_LIBRARIES = threadpoolctl.ThreadpoolController()


def fit(
    films: Films,
    features_of: FeaturesOf,
    seed: int,
    *,
    patients: Sequence | None = None,
    unseen: Films = (),
) -> Gate:
    """Fits all checks to films of training, at most MOST of them, drawn by `seed`.

    The limit of each check is such that it refuses RATE of the films, as they are
    judged by what was fitted to the films of other patients (five folds): of n films
    it is the score of the k-th highest, k = floor(RATE (n + 1)), at least 1, so that
    about k / (n + 1) of the films of new patients are refused. A map refuses no film
    that is more probably unaltered than altered.

    Args:
      films: uint8 or uint16 [H, W] each; only those drawn are looked up.
      features_of: the features of the network [n, D] of some films.
      seed: of the run.
      patients: one of each film; by default each is another one.
      unseen: films of val: the network has seen those of train, which are therefore
        nearer to each other. They can only raise the limit of `unlike_training`.

    Raises:
      InputError: fewer than LEAST films that are not blank.
    """
    chosen = _chosen(len(films), seed, "gate films")
    seen = _see(films, chosen, features_of)
    usable = np.array([flatness(one) <= _FLAT for one in seen.rasters], bool)
    if usable.sum() < LEAST:
        raise InputError(
            "the gate",
            f"train has {usable.sum()} films that are not blank, and it needs {LEAST}",
            "use --gate=off",
        )
    seen = _Seen(*(part[usable] for part in seen))
    others = _see(unseen, _chosen(len(unseen), seed, "gate unseen"), features_of)
    groups = [i if patients is None else patients[i] for i in chosen[usable]]
    # On a busy machine, threads of BLAS wait longer for each other than they compute.
    with _LIBRARIES.limit(limits=1, user_api="blas"):
        return _fit(seen, others.features, _folds(groups, seed), seed)


class _Seen(NamedTuple):
    """Rasters [n, _SIDE, _SIDE], features [n, D] and shapes [n, 2] of n films."""

    rasters: np.ndarray
    features: np.ndarray
    shapes: np.ndarray


def _chosen(films: int, seed: int, name: str) -> np.ndarray:
    """Positions of at most MOST of the films, in order."""
    return np.sort(generator(seed, name).permutation(films)[:MOST])


def _see(films: Films, chosen: np.ndarray, features_of: FeaturesOf) -> _Seen:
    """What is kept of some films, a batch at a time."""
    if not len(chosen):
        return _Seen(np.zeros((0, 1, 1)), np.zeros((0, 0)), np.zeros((0, 2), int))
    rasters, features, shapes = [], [], []
    for start in range(0, len(chosen), _BATCH):
        some = [films[i] for i in chosen[start : start + _BATCH]]
        rasters += [raster(film, _SIDE) for film in some]
        shapes += [film.shape for film in some]
        features.append(np.asarray(features_of(some), np.float64))
    return _Seen(np.stack(rasters), np.concatenate(features), np.array(shapes))


def _folds(groups: list, seed: int) -> np.ndarray:
    """The fold of each film, int [n]: the films of a patient are in one."""
    names = np.array([str(group) for group in groups])
    _, patient = np.unique(names, return_inverse=True)
    order = generator(seed, "gate folds").permutation(patient.max() + 1)
    return order[patient] % _FOLDS


def _fit(seen: _Seen, others: np.ndarray, folds: np.ndarray, seed: int) -> Gate:
    """others: features [m, D] of films of val."""
    usual = _described(altered.usual, seen, seed, "usual")
    maps = {
        check: _fit_map(usual, _described(alter, seen, seed, check), folds)
        for check, alter in altered.ALTERATIONS.items()
    }
    unlike = _fit_distance([seen.features], folds)
    if len(others):
        limit = _limit(distance.distances(unlike, others))
        unlike = unlike._replace(limit=max(unlike.limit, limit))
    short, long = seen.shapes.min(1), seen.shapes.max(1)
    return Gate(
        films=len(folds),
        rate=RATE,
        flat=_FLAT,
        shortest=int(min(_SHORTEST, short.min())),
        aspect=float(max(_ASPECT, (long / short).max())),
        maps=maps,
        view=_fit_distance(usual, folds),
        unlike_training=unlike,
    )


def _described(alter, seen: _Seen, seed: int, name: str) -> list[np.ndarray]:
    """Gradients [n, LENGTH] of each alteration of all films."""
    rng = generator(seed, f"gate {name}")
    rasters = alter(seen.rasters, gradients.SIDE, rng)
    return [gradients.describe(one) for one in rasters]


def _fit_map(usual: list, others: list, folds: np.ndarray) -> Map:
    """A map between [n, d] of the films and of their alterations."""
    x = np.concatenate([*usual, *others])
    positive = np.repeat(
        [False, True], [len(usual) * len(folds), len(others) * len(folds)]
    )
    fold = np.tile(folds, len(usual) + len(others))
    whole = logistic.fit(x, positive)
    held = np.empty(len(folds))
    for k in range(_FOLDS):
        train = fold != k
        found = logistic.fit(x[train], positive[train], whole)
        held[folds == k] = usual[0][folds == k] @ found[:-1] + found[-1]
    return Map(whole[:-1].astype(np.float32), float(whole[-1]), max(_limit(held), 0.0))


def _fit_distance(copies: list, folds: np.ndarray) -> Distance:
    """The distribution of [n, d] of the films and of copies of them."""
    x, fold = np.concatenate(copies), np.tile(folds, len(copies))
    held = np.empty(len(folds))
    for k in range(_FOLDS):
        found = distance.fit(x[fold != k])
        held[folds == k] = distance.distances(found, copies[0][folds == k])
    return distance.fit(x)._replace(limit=_limit(held))


def _limit(scores: np.ndarray) -> float:
    """The score of the film that is the last to pass."""
    most = max(int(RATE * (len(scores) + 1)), 1)
    return float(np.sort(scores)[-most])
