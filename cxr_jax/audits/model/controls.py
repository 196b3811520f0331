"""The same pictures without what a reader would look at, or with nothing else.

What a model still gets right then it did not read from the lungs (DeGrave et al. 2021,
doi 10.1038/s42256-021-00338-7; Maguolo and Nanni 2021, arXiv 2004.12823, hid the middle).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

# Share of the area that is hidden in the middle, up to the whole picture.
HIDDEN = (0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
# Of the side, on every edge.
BORDER = 0.08


class Control(NamedTuple):
    """One way to take something out of pictures.

    Attributes:
      name: as it is printed.
      apply: (pixels [N, S, S, 1], lungs bool [N, S, S, 1] or None) -> pixels.
      needs_masks: lungs are asked for.
      without_lungs: a model that reads lungs is no better than chance on it.
    """

    name: str
    apply: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    needs_masks: bool = False
    without_lungs: bool = False


def controls(has_masks: bool) -> list[Control]:
    """All of them, or those that need no lung masks."""
    found = [
        Control(f"middle {share:.0%} hidden", partial(hide_middle, share=share))
        for share in HIDDEN[:-1]
    ]
    found += [
        Control("border only", border_only, without_lungs=True),
        Control("nothing", partial(hide_middle, share=HIDDEN[-1]), without_lungs=True),
    ]
    if has_masks:
        found += [
            Control("lungs hidden", hide_lungs, True, without_lungs=True),
            Control("lungs only", lungs_only, True),
        ]
    return found


def hide_middle(pixels, lungs=None, *, share: float) -> np.ndarray:
    """Black in a centred square of that share of the area."""
    side = pixels.shape[1]
    margin = round(side * (1 - share**0.5) / 2)
    found = pixels.copy()
    found[:, margin : side - margin, margin : side - margin] = 0
    return found


def border_only(pixels, lungs=None) -> np.ndarray:
    """Black but for a frame."""
    side = pixels.shape[1]
    width = max(1, round(side * BORDER))
    found = pixels.copy()
    found[:, width : side - width, width : side - width] = 0
    return found


def hide_lungs(pixels, lungs) -> np.ndarray:
    """Black where the mask has lung."""
    return np.where(lungs, 0, pixels).astype(pixels.dtype)


def lungs_only(pixels, lungs) -> np.ndarray:
    """Black where the mask has none."""
    return np.where(lungs, pixels, 0).astype(pixels.dtype)
