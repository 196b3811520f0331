"""One film against a Gate."""

from __future__ import annotations

import numpy as np

from cxr_jax.gate import distance, gradients
from cxr_jax.gate.gate import MAPS, UNLIKE, VIEW, Finding, Gate, Map, Verdict
from cxr_jax.gate.raster import raster


def judge(gate: Gate, pixels: np.ndarray, features: np.ndarray) -> Verdict:
    """What is wrong with a film.

    A blank film, or one of a wrong size, is not judged further.

    Args:
      pixels: uint8 or uint16 [H, W], at its own size, dense structures bright.
      features: float [D], of the network that the gate belongs to.

    Raises:
      ValueError: the film has no pixels, or the features another length.
    """
    small = raster(pixels, gradients.SIDE)
    found = _findings(
        {"blank": flatness(small), "size": misfit(gate, pixels)},
        {"blank": gate.flat, "size": 1.0},
    )
    if not found:
        described = gradients.describe(small[None])[0]
        found = _findings(scores(gate, described, features), limits(gate))
    return Verdict(found, not found)


def flatness(small: np.ndarray) -> float:
    """The part of the range of greys that a raster does not use.

    With its values in rising order, v[0] to v[1023], it is 1 - (v[1003] - v[20]): the
    lowest and the highest 20 are left out, as letters and stray light make them.
    """
    values = np.sort(small, axis=None)
    aside = values.size // 50
    return float(1 - (values[-1 - aside] - values[aside]))


def misfit(gate: Gate, pixels: np.ndarray) -> float:
    """How far the sides of a film [H, W] are beyond what is allowed: above 1.

    With its shorter and its longer side it is the larger one of
    longer / shorter / gate.aspect and gate.shortest / shorter.
    """
    short, long = sorted(pixels.shape)
    return max(long / gate.aspect, gate.shortest) / short


def scores(gate: Gate, described: np.ndarray, features: np.ndarray) -> dict[str, float]:
    """The score of each check but the explicit ones.

    Of a map it is sum(weights * described) + bias: log odds of an altered film
    against one as it is, if both were equally frequent.

    Args:
      described: float64 [LENGTH], of `gradients`.
      features: float [D].
    """
    of_maps = {name: score(gate.maps[name], described) for name in MAPS}
    away = distance.distances(gate.view, described[None])[0]
    unlike = distance.distances(gate.unlike_training, features[None])[0]
    return {**of_maps, VIEW: float(away), UNLIKE: float(unlike)}


def score(of: Map, described: np.ndarray) -> float:
    """The log odds of one film [LENGTH]."""
    return float(described @ of.weights.astype(np.float64) + of.bias)


def limits(gate: Gate) -> dict[str, float]:
    """The limits of `scores`."""
    of_maps = {name: gate.maps[name].limit for name in MAPS}
    return {**of_maps, VIEW: gate.view.limit, UNLIKE: gate.unlike_training.limit}


def _findings(found: dict[str, float], most: dict[str, float]) -> tuple[Finding, ...]:
    # NaN, as of features that are not finite, is above no limit, but is no film either.
    return tuple(
        Finding(check, value, most[check])
        for check, value in found.items()
        if not value <= most[check]
    )
