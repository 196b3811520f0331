"""Phantom films for a gate, and features of films without a network."""

import numpy as np

from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.scores import draw_patient, draw_scores

FITTED, HELD = 90, 60


def draw(index: int, size: int = 160) -> np.ndarray:
    """A phantom film of another patient, uint8 [H, W]."""
    rng = np.random.default_rng([15, index])
    levels = draw_scores(draw_patient(rng), rng)
    picture = draw_film(draw_chest(rng), levels, rng, size).picture
    return np.rint(picture * 255).astype(np.uint8)


def features_of(films) -> np.ndarray:
    """Deciles of the greys: float [n, 9]."""
    return np.stack(
        [np.quantile(f / np.iinfo(f.dtype).max, np.arange(1, 10) / 10) for f in films]
    )
