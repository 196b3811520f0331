"""Affine resampling of a batch: one matrix per image, four taps per pixel.

Coordinates are (row, column) with pixel centres at whole numbers. A matrix maps
output to input: `source = matrix[:, :2] @ (row, column) + matrix[:, 2]`.
"""

import jax.numpy as jnp
from jax import lax

from cxr_jax.ops import frame

FILLS = ("edge", "zero")


def affine_matrix(shape, rotate, shift, zoom, shear):
    """Matrices [B,2,3] that rotate, shift, shear and zoom about the image's centre.

    `shape` is (H, W); `rotate` and `shear` are [B] radians; `shift` and `zoom` are
    [B,2], (row, column), in pixels and as a share of the field of view: a zoom of
    0.5 shows half of the image at twice the size.
    Composed as rotation x shift x shear x zoom, the order, signs and meaning of
    Keras's `apply_affine_transform`, which the published baselines used.
    """
    cos, sin, one = jnp.cos(rotate), jnp.sin(rotate), jnp.ones_like(shear)
    rotation = stack_2x2(cos, -sin, sin, cos)
    shearing = stack_2x2(one, -jnp.sin(shear), 0 * one, jnp.cos(shear))
    # HIGHEST: the default on a GPU rounds to TF32, 0.2 pixel in 512. Matmuls rather
    # than the closed form, because XLA would recompute sines for every pixel.
    highest = lax.Precision.HIGHEST
    linear = jnp.matmul(rotation, shearing * zoom[:, None, :], precision=highest)
    centre = (jnp.array([shape], linear.dtype) - 1) / 2
    moved = jnp.matmul(rotation, shift[:, :, None], precision=highest)[:, :, 0]
    offset = centre + moved - (linear * centre[:, None, :]).sum(axis=2)
    return jnp.concatenate([linear, offset[:, :, None]], axis=2)


def stack_2x2(a, b, c, d):
    """Matrices [[a, b], [c, d]] from four [B]: [B,2,2]."""
    return jnp.stack([a, b, c, d], axis=1).reshape(-1, 2, 2)


def taps(position, size, fill):
    """The two pixels around each position on one axis: ((index, weight), ...)."""
    if fill == "edge":
        position = jnp.clip(position, 0, size - 1)
    below = jnp.floor(position)
    part = position - below
    first = below.astype(jnp.int32)
    pairs = []
    for index, weight in ((first, 1 - part), (first + 1, part)):
        if fill == "zero":
            weight = jnp.where((index >= 0) & (index < size), weight, 0)
        pairs.append((jnp.clip(index, 0, size - 1), weight))
    return pairs


def warp(images, matrix, fill):
    """Bilinear samples of float `images` [B,H,W,C] under `matrix` [B,2,3].

    Outside the image is its nearest edge pixel ('edge') or zero ('zero').
    """
    batch, height, width, channels = images.shape
    row = lax.broadcasted_iota(images.dtype, (1, height, width), 1)
    column = lax.broadcasted_iota(images.dtype, (1, height, width), 2)
    y, x = (
        m[:, 0, None, None] * row + m[:, 1, None, None] * column + m[:, 2, None, None]
        for m in (matrix[:, 0], matrix[:, 1])
    )
    # Flattened rows and columns, but not the batch: one index per tap is the fastest
    # gather (32 images of 128 px on two CPU cores: 3 ms; map_coordinates: 6), and a
    # batch spread over devices is not gathered onto one.
    flat = images.reshape(batch, height * width, channels)
    total = jnp.zeros((), images.dtype)
    for i, weight_y in taps(y, height, fill):
        for j, weight_x in taps(x, width, fill):
            index = (i * width + j).reshape(batch, -1, 1)
            pixels = jnp.take_along_axis(flat, index, axis=1, mode="promise_in_bounds")
            total += (weight_y * weight_x)[..., None] * pixels.reshape(images.shape)
    return total


def move(batch, matrix, fill):
    """Warps the image and lung mask of a batch, and moves the lung frame."""
    moved = {
        name: warp(batch[name], matrix, fill)
        for name in ("image", "mask")
        if name in batch
    }
    if "frame" in batch:
        back = frame.inverse(frame.of_matrix(matrix, batch["image"].shape[1:3]))
        moved["frame"] = frame.compose(back, batch["frame"])
    return batch | moved
