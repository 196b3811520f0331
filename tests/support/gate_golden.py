"""Intermediate values of the gate, for another implementation to compare with."""

from typing import Any

import numpy as np

from cxr_jax.gate import gradients, judge
from cxr_jax.gate.fitted import Gate
from cxr_jax.gate.raster import raster


def steps(gate: Gate, pixels: np.ndarray, features: np.ndarray) -> dict[str, Any]:
    """All that `judge` computes of one film, in its order, ready for json.dumps.

    Of float64 numbers as they are; the raster is exact up to its last division.
    """
    small = raster(pixels, gradients.SIDE)
    seen = judge.look(pixels)
    verdict = judge.judge(gate, pixels, features)
    return {
        "shape": list(pixels.shape),
        "features": np.asarray(features, np.float64).tolist(),
        "raster": small.tolist(),
        "ranks": gradients.ranks(small).tolist(),
        "described": seen.described.tolist(),
        "blank": seen.flatness,
        "size": judge.misfit(gate, seen.shape),
        "scores": judge.scores(gate, seen.described, features),
        "findings": [finding._asdict() for finding in verdict.findings],
        "passed": verdict.passed,
    }
