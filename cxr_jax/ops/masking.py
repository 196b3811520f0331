"""Ops that show a model a part of the picture alone: controls it is trained on.

They do what `audits/controls.py` does to the pictures of a finished model. Hidden is
black, so they need pixels in [0, 1]. Each belongs straight after to_float: moved first,
lungs may get to where they are still seen.
"""

import jax.numpy as jnp
import numpy as np

from cxr_jax.audits.model.controls import BORDER
from cxr_jax.ops.arguments import number
from tfds_builders.common.errors import InputError

# A square of a share of 0 would still cover the middle pixel of an odd side.
_LEAST = 0.01


def hide_middle(share):
    """Black in a centred square of that share of the area; 1 hides the whole picture.

    In a picture that is no square the hidden part has its aspect.
    """
    share = number("share", share, _LEAST, 1)

    def margin(side):
        return round(side * (1 - share**0.5) / 2)

    return _make_hide(margin)


def border_only(width=BORDER):
    """Black but for a frame: `width` is its share of a side, on every edge."""
    width = number("width", width, _LEAST, 0.5)

    def margin(side):
        return max(1, round(side * width))

    return _make_hide(margin)


def hide_lungs():
    """Black where the mask has lung."""
    return _make_by_mask("hide_lungs", lambda lungs, image: jnp.where(lungs, 0, image))


def lungs_only():
    """Black where the mask has none."""
    return _make_by_mask("lungs_only", lambda lungs, image: jnp.where(lungs, image, 0))


def _make_hide(margin):
    """Black at `margin(side)` pixels and more from each edge."""

    def apply(batch):
        image = batch["image"]
        hidden = np.zeros((1, *image.shape[1:3], 1), bool)
        rows, columns = (
            slice(margin(side), side - margin(side)) for side in image.shape[1:3]
        )
        hidden[:, rows, columns] = True
        return batch | {"image": jnp.where(hidden, 0, image)}

    return apply


def _make_by_mask(name, shown):
    def apply(batch):
        if "mask" not in batch:
            raise InputError(
                name,
                "there are no lung masks",
                "set config.data.masks=True, on a dataset that has them",
            )
        # What was moved or resized lies between: lung is what is so in most of a pixel.
        return batch | {"image": shown(batch["mask"] > 0.5, batch["image"])}

    return apply
