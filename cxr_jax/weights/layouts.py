"""From the axes of the source to ours: convolutions HWIO, dense layers [in, out]."""

from __future__ import annotations

import jax
import numpy as np


def convert(
    array: np.ndarray, format: str, ours: str, shape: tuple[int, ...]
) -> np.ndarray:
    """One array in our layout, float32.

    Args:
      array: as stored.
      format: of `source.Source`.
      ours: name of the leaf in our model.
      shape: of the leaf.
    """
    is_kernel = ours.endswith("/kernel")
    if format == "torch" and is_kernel:
        if array.ndim == 4:  # OIHW; depthwise [C, 1, H, W]
            array = array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            array = array.T
    elif format == "keras" and is_kernel and array.shape[3:] == (1,) != shape[3:]:
        array = array.swapaxes(2, 3)  # depthwise [H, W, C, 1]
    if is_kernel and (array.ndim, len(shape)) == (4, 2) and array.shape[:2] == (1, 1):
        array = array[0, 0]  # a dense layer written as a 1 x 1 convolution
    elif not is_kernel and array.ndim > len(shape):  # layer scale [C, 1, 1] of PyTorch
        array = array.squeeze() if array.squeeze().ndim == len(shape) else array
    return np.asarray(array, np.float32)


def fit_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A first kernel [h, w, C, O] for images of `channels`.

    From 3 to 1 the sum over colours: a grey image gives what its three equal colours
    gave. From 1 to 3 a third each. Anything else is returned as it is.
    """
    if kernel.ndim != 4:
        return kernel
    if kernel.shape[2] == 3 and channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    if kernel.shape[2] == 1 and channels == 3:
        return np.repeat(kernel / 3, 3, axis=2)
    return kernel


def fit_positions(embedding: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Position embeddings [1, 1 + n * n, D] for another grid, resampled bicubically.

    The first is that of the class token. As in Dosovitskiy et al. 2021 (arXiv
    2010.11929), section 3.2. Grids are square; anything else is returned as it is.
    """
    sides = [round((length - 1) ** 0.5) for length in (embedding.shape[1], shape[1])]
    lengths = (embedding.shape[1], shape[1])
    if any(side * side + 1 != n for side, n in zip(sides, lengths, strict=True)):
        return embedding
    old, new = sides
    width = embedding.shape[2]
    grid = embedding[0, 1:].reshape(old, old, width)
    grid = jax.image.resize(grid, (new, new, width), "bicubic")
    grid = np.asarray(grid).reshape(1, new * new, width)
    return np.concatenate([embedding[:, :1], grid], axis=1)
