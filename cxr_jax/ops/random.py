"""Random image ops: each `make` checks its arguments; fn(batch, key, strength=1).

Every example of the batch gets its own draw. `strength` multiplies the limits of what
is drawn, and may be traced; it leaves probabilities alone. Images are float32
[B,H,W,C] in [0, 1]; the flips take any type.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from cxr_jax.ops import frame
from cxr_jax.ops.arguments import choice, factors, number
from cxr_jax.ops.geometry import FILLS, affine_matrix, move
from cxr_jax.ops.image import LEAST_SPREAD
from tfds_builders.common.zones import MIRRORED

# Labels in zone order, which follow the lungs when the image is flipped.
ZONE_LABELS = ("scores", "scores_junior", "consensus_mean", "consensus_mode")

# What each zone becomes when the image is turned upside down.
UPSIDE_DOWN = (2, 1, 0, 5, 4, 3)


def affine(rotate=0, shift=0, zoom=0, shear=0, fill="edge"):
    """Rotate, shift, zoom and shear in one resampling; each uniform in +- its limit.

    `rotate` and `shear` in degrees, `shift` as a fraction of each side, `zoom` as a
    change of scale drawn for each axis separately: the draws and conventions of
    Keras's `ImageDataGenerator`, whose `fill_mode='nearest'` is fill='edge'. Lung mask
    and frame move with the image.
    """
    most = limits(rotate, shift, zoom, shear, fill)

    def apply(batch, key, strength=1.0):
        shape = (len(batch["image"]), 6)
        draws = jax.random.uniform(key, shape, minval=-1, maxval=1) * strength
        return moved(batch, draws, most, fill)

    return apply


def limits(rotate, shift, zoom, shear, fill) -> tuple[float, ...]:
    """The four limits of `affine`, checked."""
    choice("fill", fill, FILLS)
    return (
        number("rotate", rotate, 0, 180),
        number("shift", shift, 0, 1),
        number("zoom", zoom, 0, 0.9),
        number("shear", shear, 0, 80),
    )


def moved(batch, draws, most, fill):
    """The batch moved by `draws` [B, 6] in -1 to 1, multiples of the limits `most`."""
    rotate, shift, zoom, shear = most
    height, width = batch["image"].shape[1:3]
    side = jnp.array([[height, width]], draws.dtype)
    matrix = affine_matrix(
        (height, width),
        rotate=math.radians(rotate) * draws[:, 0],
        shift=shift * side * draws[:, 1:3],
        zoom=1 + zoom * draws[:, 3:5],
        shear=math.radians(shear) * draws[:, 5],
    )
    return move(batch, matrix, fill)


def make_flip(axis, zones, p):
    """Flip along `axis` with probability p, with mask, frame and labels."""
    p = number("p", p, 0, 1)

    def apply(batch, key, strength=1.0):
        del strength
        image = batch["image"]
        chosen = jax.random.bernoulli(key, p, image.shape[:1])
        turned = {
            name: jnp.flip(batch[name], axis)
            for name in ("image", "mask")
            if name in batch
        }
        if "frame" in batch:
            turned["frame"] = frame.turned_over(batch["frame"], axis)
        for name in ZONE_LABELS:
            if name in batch:
                turned[name] = batch[name][:, jnp.array(zones)]
        for name, value in turned.items():
            mask = chosen.reshape((-1,) + (1,) * (value.ndim - 1))
            turned[name] = jnp.where(mask, value, batch[name])
        return batch | turned

    return apply


def flip_lr(p=0.5):
    """Mirror left to right with probability p; zones A-B-C swap with D-E-F."""
    return make_flip(2, MIRRORED, p)


def flip_ud(p=0.5):
    """Turn upside down with probability p; upper zones swap with lower ones.

    Anatomically wrong for a chest; here to reproduce published baselines.
    """
    return make_flip(1, UPSIDE_DOWN, p)


def uniform_factor(key, image, lo, hi, strength):
    """One factor in [lo, hi] per image, [B,1,1,1], drawn towards 1 by `strength`."""
    shape = (image.shape[0], 1, 1, 1)
    factor = jax.random.uniform(key, shape, image.dtype, lo, hi)
    return 1 + strength * (factor - 1)


def brightness(amount=None, lo=None, hi=None, stretch=False):
    """Multiply by a factor in 1 +- amount, or in [lo, hi]; clipped to [0, 1].

    stretch: first map each film's own range to [0, 1], a constant one to 0. Keras's
      `brightness_range` did so (keras-preprocessing issue 327), in training alone, so
      that train and test films differ: for reproductions.
    """
    lo, hi = factors(amount, lo, hi)
    choice("stretch", str(stretch), ("True", "False"))

    def apply(batch, key, strength=1.0):
        image = batch["image"]
        if stretch:
            image = image - image.min(axis=(1, 2, 3), keepdims=True)
            most = image.max(axis=(1, 2, 3), keepdims=True)
            image = jnp.where(most > LEAST_SPREAD, image / most, 0)
        factor = uniform_factor(key, image, lo, hi, strength)
        return batch | {"image": jnp.clip(image * factor, 0, 1)}

    return apply


def contrast(amount=None, lo=None, hi=None):
    """Stretch about the image's mean by 1 +- amount, or by [lo, hi]; clipped to [0, 1].

    The mean is that of each channel.
    """
    lo, hi = factors(amount, lo, hi)

    def apply(batch, key, strength=1.0):
        image = batch["image"]
        mean = image.mean(axis=(1, 2), keepdims=True)
        factor = uniform_factor(key, image, lo, hi, strength)
        return batch | {"image": jnp.clip(mean + factor * (image - mean), 0, 1)}

    return apply


def erase(fraction, p=0.5):
    """With probability p, paint a random rectangle with the mean of its channel.

    Its area is uniform from 2 % of the image to `fraction`, its aspect ratio
    log-uniform from 0.3 to 1 / 0.3, and it lies inside the image; a side longer
    than the image is cut to it. Random erasing: Zhong et al. 2020,
    doi 10.1609/aaai.v34i07.7000.
    """
    least = 0.02
    fraction, p = number("fraction", fraction, least, 1), number("p", p, 0, 1)

    def apply(batch, key, strength=1.0):
        image = batch["image"]
        count, height, width, _ = image.shape
        draws = jax.random.uniform(key, (count, 5))
        share = least + strength * (fraction - least) * draws[:, 0]
        area = share * height * width
        aspect = jnp.exp(math.log(0.3) * (2 * draws[:, 1] - 1))
        inside = draws[:, 4, None, None] < p
        sides = (jnp.sqrt(area * aspect), jnp.sqrt(area / aspect))
        for axis, (side, most) in enumerate(zip(sides, (height, width), strict=True)):
            side = jnp.minimum(side, most)
            start = draws[:, 2 + axis] * (most - side)
            centre = 0.5 + lax.broadcasted_iota(
                draws.dtype, (1, height, width), 1 + axis
            )
            start, end = start[:, None, None], (start + side)[:, None, None]
            inside &= (centre >= start) & (centre < end)
        mean = image.mean(axis=(1, 2), keepdims=True)
        return batch | {"image": jnp.where(inside[..., None], mean, image)}

    return apply
