"""Deterministic image ops: each `make` checks its arguments and returns fn(batch).

`batch['image']` is [B,H,W,C], `batch['mask']` of the lungs [B,H,W,1] where there is one;
everything else in the batch passes untouched.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cxr_jax.ops.arguments import choice, number, numbers, whole
from tfds_builders.common.errors import InputError

LARGEST_SIDE = 4096  # a larger resize is a typing error

# Below this spread (of an image in [0, 1]) there is only rounding noise: 6 of 65,535
# grey levels.
LEAST_SPREAD = 1e-4


def to_float():
    """Unsigned integers to float32 in [0, 1], divided by the type's largest value."""

    def apply(batch):
        image = batch["image"]
        if not jnp.issubdtype(image.dtype, jnp.unsignedinteger):
            raise InputError(
                "to_float",
                f"images of type {image.dtype}",
                "it takes stored pixels, uint8 or uint16 over their full range",
            )
        return batch | {name: _to_unit(batch[name]) for name in _pictures(batch)}

    return apply


def _pictures(batch):
    """Names of the arrays on the pixel grid."""
    return [name for name in ("image", "mask") if name in batch]


def _to_unit(image):
    # Divide rather than multiply by the reciprocal: the maximum is then exactly 1.
    return image.astype(jnp.float32) / jnp.float32(jnp.iinfo(image.dtype).max)


def resize_weights(size, target):
    """Weights [target, size] of linear resampling, rows summing to 1; float32.

    Bilinear when enlarging; when shrinking, the triangle widens with the scale to
    prevent aliasing. Pixel centres sit at half-integers and the border is
    renormalised: the rule of PIL's BILINEAR and of `jax.image.resize`.
    """
    scale = size / target
    centre = (np.arange(target) + 0.5) * scale - 0.5
    distance = np.abs(centre[:, None] - np.arange(size)[None, :]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def nearest_pixels(size, target):
    """For each of `target` pixels the index of the one nearest to its centre.

    The rule of PIL's NEAREST, and so of Keras's `ImageDataGenerator` by default.
    """
    # Summed, not multiplied, so that what lies between two pixels rounds as in PIL.
    steps = np.full(target, size / target)
    steps[0] /= 2
    return np.cumsum(steps).astype(np.int32)


def resize(height, width=None, method="linear"):
    """To height x width (square if one number); aspect ratio not kept.

    method: 'linear' is antialiased; 'nearest' takes single pixels, as Keras does unless
      told otherwise: for reproductions.
    """
    choice("method", method, ("linear", "nearest"))
    height = whole("height", height, 1, LARGEST_SIDE)
    width = height if width is None else whole("width", width, 1, LARGEST_SIDE)

    def picked(image):
        rows = nearest_pixels(image.shape[1], height)
        columns = nearest_pixels(image.shape[2], width)
        return image[:, rows][:, :, columns]

    def resized(image):
        if method == "nearest":
            return picked(image)
        # HIGHEST: the default on a GPU rounds to TF32, 10 bits of a 16-bit film.
        exact = lax.Precision.HIGHEST
        if image.shape[2] != width:
            weights = resize_weights(image.shape[2], width)
            image = jnp.einsum("pw,bhwc->bhpc", weights, image, precision=exact)
        if image.shape[1] != height:
            weights = resize_weights(image.shape[1], height)
            image = jnp.einsum("oh,bhpc->bopc", weights, image, precision=exact)
        return image

    def apply(batch):
        return batch | {name: resized(batch[name]) for name in _pictures(batch)}

    return apply


def crop_middle(share):
    """The middle of the image: `share` of its height and of its width.

    It leaves out the edges, with their letters, collimation and black bars, by which a
    model could tell where a film is from.
    """
    share = number("share", share, 0.1, 1)

    def cropped(image):
        rows, columns = (
            slice(cut, side - cut)
            for side in image.shape[1:3]
            for cut in [min(round(side * (1 - share) / 2), (side - 1) // 2)]
        )
        return image[:, rows, columns]

    def apply(batch):
        if "frame" in batch:
            raise InputError(
                "crop_middle",
                "comes after lung_frame",
                "put it directly after to_float",
            )
        return batch | {name: cropped(batch[name]) for name in _pictures(batch)}

    return apply


def equalise(bins=4096):
    """Histogram equalisation of each film, as in the code of BS-Net's authors.

    PIL's rule with `bins` grey levels, then divided by the largest. Films of fewer
    pixels than bins are only divided: there is nothing to spread.
    """
    bins = whole("bins", bins, 2, 65536)

    def one(image):
        levels = jnp.clip(image * (bins - 1), 0, bins - 1).astype(jnp.int32).ravel()
        counts = jnp.zeros(bins, jnp.int32).at[levels].add(1)
        step = (levels.size - counts[levels.max()]) // bins
        table = (jnp.cumsum(counts) + step // 2) // jnp.maximum(step, 1)
        table = jnp.concatenate([jnp.zeros(1, table.dtype), table[:-1]])
        found = jnp.where(step > 0, jnp.clip(table, 0, bins)[levels], levels)
        return (found / jnp.maximum(found.max(), 1)).reshape(image.shape)

    def apply(batch):
        return batch | {"image": jax.vmap(one)(batch["image"])}

    return apply


def standardise():
    """Zero mean and unit variance, image by image; a constant image becomes zeros."""

    def apply(batch):
        image = batch["image"]
        centred = image - image.mean(axis=(1, 2, 3), keepdims=True)
        spread = jnp.sqrt((centred**2).mean(axis=(1, 2, 3), keepdims=True))
        return batch | {"image": centred / jnp.maximum(spread, LEAST_SPREAD)}

    return apply


def normalise(mean, std):
    """(image - mean) / std with fixed numbers in [0, 1], one or one per channel."""
    mean, std = numbers("mean", mean, 0, 1), numbers("std", std, 1e-3, 1)
    if len(mean) != len(std) and 1 not in (len(mean), len(std)):
        raise ValueError(f"mean holds {len(mean)} numbers and std {len(std)}")

    def apply(batch):
        image = batch["image"]
        channels = image.shape[3]
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, channels):
                raise InputError(
                    f"normalise({name}={values})",
                    f"{len(values)} numbers for images of {channels} channel(s)",
                    "give one number, or put to_rgb before normalise",
                )
        shift = jnp.array(mean, image.dtype).reshape(1, 1, 1, -1)
        scale = jnp.array(std, image.dtype).reshape(1, 1, 1, -1)
        return batch | {"image": (image - shift) / scale}

    return apply


def to_rgb():
    """Repeats one channel three times, for networks trained on colour images."""

    def apply(batch):
        image = batch["image"]
        if image.shape[3] != 1:
            raise InputError(
                "to_rgb",
                f"images of {image.shape[3]} channels",
                "use it once, on images of one channel",
            )
        return batch | {"image": jnp.broadcast_to(image, (*image.shape[:3], 3))}

    return apply
