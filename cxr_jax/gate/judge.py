"""One film against a Gate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cxr_jax.gate import distance, gradients
from cxr_jax.gate.fitted import MAPS, UNLIKE, VIEW, Gate, Map
from cxr_jax.gate.raster import raster


class Look(NamedTuple):
    """All that a gate wants to know of the pixels of a film: a few numbers.

    Attributes:
      shape: rows, columns.
      flatness: of `flatness`.
      described: float64 [LENGTH], of `gradients`.
    """

    shape: tuple[int, int]
    flatness: float
    described: np.ndarray


class Finding(NamedTuple):
    """One check that a film fails: its score is above the limit."""

    check: str
    score: float
    limit: float


class Verdict(NamedTuple):
    """What was found, in the order of CHECKS; a film passes where that is nothing."""

    findings: tuple[Finding, ...]
    passed: bool


def look(pixels: np.ndarray) -> Look:
    """What any gate needs of a film.

    Args:
      pixels: uint8 or uint16 [H, W], at its own size, dense structures bright.
    """
    small = raster(pixels, gradients.SIDE)
    height, width = pixels.shape
    return Look((height, width), flatness(small), gradients.describe(small[None])[0])


def judge(gate: Gate, pixels: np.ndarray, features: np.ndarray) -> Verdict:
    """What is wrong with a film: `judge_look` of `look`."""
    return judge_look(gate, look(pixels), features)


def judge_look(gate: Gate, seen: Look, features: np.ndarray) -> Verdict:
    """What is wrong with a film. A blank one, or one of a wrong size, is not judged on.

    Args:
      seen: of the film.
      features: float [D], of the network that the gate belongs to.
    """
    found = _findings(
        {"blank": seen.flatness, "size": misfit(gate, seen.shape)},
        {"blank": gate.flat, "size": 1.0},
    )
    if not found:
        found = _findings(scores(gate, seen.described, features), limits(gate))
    return Verdict(found, not found)


def flatness(small: np.ndarray) -> float:
    """The part of the range of greys that a raster does not use.

    With its values in rising order, v[0] to v[1023], it is 1 - (v[1003] - v[20]): the
    lowest and the highest 20 are left out, as letters and stray light make them.
    """
    values = np.sort(small, axis=None)
    aside = values.size // 50
    return float(1 - (values[-1 - aside] - values[aside]))


def misfit(gate: Gate, shape: tuple[int, int]) -> float:
    """How far the sides of a film are beyond what is allowed: above 1.

    With its shorter and its longer side it is the larger one of
    longer / shorter / gate.aspect and gate.shortest / shorter.
    """
    short, long = sorted(shape)
    return max(long / gate.aspect, gate.shortest) / short


def scores(gate: Gate, described: np.ndarray, features: np.ndarray) -> dict[str, float]:
    """The score of each check but the first two.

    Of a map it is sum(weights * described) + bias: the log odds that a film is altered,
    if altered films were as frequent as others.

    Args:
      described: float64 [LENGTH], of `gradients`.
      features: float [D].
    """
    of_maps = {name: score(gate.maps[name], described) for name in MAPS}
    away = distance.distances(gate.view, described[None])[0]
    unlike = distance.distances(gate.unlike_training, np.asarray(features)[None])[0]
    return {**of_maps, VIEW: float(away), UNLIKE: float(unlike)}


def score(of: Map, described: np.ndarray) -> float:
    """The log odds of one film [LENGTH]."""
    return float(described @ of.weights.astype(np.float64) + of.bias)


def limits(gate: Gate) -> dict[str, float]:
    """The limits of `scores`."""
    of_maps = {name: gate.maps[name].limit for name in MAPS}
    return {**of_maps, VIEW: gate.view.limit, UNLIKE: gate.unlike_training.limit}


def _findings(found: dict[str, float], most: dict[str, float]) -> tuple[Finding, ...]:
    # What is not a number, as of features that overflowed, is not within a limit.
    return tuple(
        Finding(check, value, most[check])
        for check, value in found.items()
        if not value <= most[check]
    )
