"""Ops on the position of the lungs: their frame, and one pose for every evaluation."""

from cxr_jax.ops import frame
from cxr_jax.ops.arguments import number
from cxr_jax.ops.random import limits, moved
from tfds_builders.common.errors import InputError


def lung_frame(margin=0.05):
    """Adds 'frame' [B, 2, 3]: the upright box around the lungs of the mask.

    `margin`, a share of its sides, is added on each side. Later ops move the frame with
    the image, so that the lungs keep their position within it. An image without lungs
    gets the whole image.
    """
    margin = number("margin", margin, 0, 1)

    def apply(batch):
        if "mask" not in batch:
            raise InputError(
                "lung_frame",
                "there are no lung masks",
                "set config.data.masks=True, on a dataset that has them",
            )
        return batch | {"frame": frame.around(batch["mask"], margin)}

    return apply


def pose(rotate=0, shift=0, zoom=0, shear=0, fill="edge"):
    """`affine` with the draws of the batch's 'pose' [B, 6] instead of random ones.

    The task `align` gives each image its own pose, so that every evaluation moves it in
    the same way.
    """
    most = limits(rotate, shift, zoom, shear, fill)

    def apply(batch):
        if "pose" not in batch:
            raise InputError(
                "pose",
                "the batch has no poses",
                "use it with config.task.name=align, or remove it",
            )
        return moved(batch, batch["pose"], most, fill)

    return apply
