"""What is fitted to the films of training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# In the order in which they are judged and named.
EXPLICIT = ("blank", "size")
MAPS = ("polarity", "orientation", "cropped")
VIEW, UNLIKE = "view", "unlike_training"
CHECKS = (*EXPLICIT, *MAPS, VIEW, UNLIKE)


class Map(NamedTuple):
    """A line between films as they are and films altered in one way.

    Attributes:
      weights: float32 [LENGTH], of `gradients`.
      bias: added to the product.
      limit: the film is found altered above it.
    """

    weights: np.ndarray
    bias: float
    limit: float


class Distance(NamedTuple):
    """How films differ from each other, as a normal distribution: see `distance`.

    Attributes:
      mean: float32 [d].
      basis: float32 [k, d], orthonormal rows.
      variances: float32 [k], along them.
      rest: the variance along any other direction.
      limit: the film is found unlike the others above it.
    """

    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray
    rest: float
    limit: float


class Gate(NamedTuple):
    """Everything by which a film is judged.

    Attributes:
      films: how many it was fitted to.
      rate: the share of films like those of training that one check refuses wrongly,
        as it was asked for.
      flat: the limit of `blank`.
      shortest: pixels; the shorter side of a film is at least that.
      aspect: the longer side is at most that many times the shorter one.
      maps: by check, of MAPS.
      view: distance of the gradients.
      unlike_training: distance of the features of the network.
    """

    films: int
    rate: float
    flat: float
    shortest: int
    aspect: float
    maps: dict[str, Map]
    view: Distance
    unlike_training: Distance
