"""Ops that black out part of an image, and the controls made from them.

What a model still gets right without lungs, it does not read from them (DeGrave et al.
2021, doi 10.1038/s42256-021-00338-7; Maguolo and Nanni 2021, arXiv 2004.12823, hid the
middle). The ops are for training and testing on such images; the audit applies the
controls to a finished model. Black is 0, so an op needs pixels in [0, 1]. Put it right
after to_float: if the image moved first, lungs could end up where they are visible.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cxr_jax.ops.arguments import number
from tfds_builders.common.errors import InputError

# Shares of the area that controls hide in the middle, up to the whole image.
HIDDEN = (0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
# Width of the border as a share of the side, on every edge.
BORDER = 0.08
# A share of 0 would still cover the middle pixel of an odd side.
_LEAST = 0.01


def hide_middle(share):
    """Black in a centred square of that share of the area; 1 hides the whole image.

    The hidden part has the aspect ratio of the image.
    """
    share = number("share", share, _LEAST, 1)

    def margin(side):
        return round(side * (1 - share**0.5) / 2)

    return _make_hide(margin)


def border_only(width=BORDER):
    """Black except for a frame: `width` is its share of a side, on every edge."""
    width = number("width", width, _LEAST, 0.5)

    def margin(side):
        return max(1, round(side * width))

    return _make_hide(margin)


def hide_lungs():
    """Black where the mask has lung."""
    return _make_by_mask("hide_lungs", lambda lungs: ~lungs)


def lungs_only():
    """Black where the mask has none."""
    return _make_by_mask("lungs_only", lambda lungs: lungs)


class Control(NamedTuple):
    """One way to hide part of an image.

    Attributes:
      name: as it is printed.
      hide: an op, which also takes numpy batches of stored integers.
      without_lungs: a model that reads lungs only is at chance on it.
    """

    name: str
    hide: Callable
    without_lungs: bool = False


def controls(has_masks: bool) -> list[Control]:
    """Returns all controls, or those that need no lung masks."""
    found = [
        Control(f"middle {share:.0%} hidden", hide_middle(share))
        for share in HIDDEN[:-1]
    ]
    found += [
        Control("border only", border_only(), without_lungs=True),
        Control("nothing", hide_middle(HIDDEN[-1]), without_lungs=True),
    ]
    if has_masks:
        found += [
            Control("lungs hidden", hide_lungs(), without_lungs=True),
            Control("lungs only", lungs_only()),
        ]
    return found


def _make_hide(margin):
    """Blacks out pixels at least `margin(side)` from each edge."""

    def apply(batch):
        image = batch["image"]
        shown = np.ones((1, *image.shape[1:3], 1), bool)
        rows, columns = (
            slice(margin(side), side - margin(side)) for side in image.shape[1:3]
        )
        shown[:, rows, columns] = False
        # A product, not jnp.where: numpy arrays stay on the host.
        return batch | {"image": image * shown}

    return apply


def _make_by_mask(name, shown):
    def apply(batch):
        if "mask" not in batch:
            raise InputError(
                name,
                "there are no lung masks",
                "set config.data.masks=True, on a dataset that has them",
            )
        # Moved or resized masks have values in between: threshold at half.
        return batch | {"image": batch["image"] * shown(batch["mask"] > 0.5)}

    return apply
