"""Checks of the arrays that a metric is computed from."""

import numpy as np

from tfds_builders.common.errors import InputError


def shape(name: str, array: np.ndarray, expected: tuple) -> None:
    """Raise unless the array has the expected shape."""
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}; expected {expected}")


def finite(name: str, array: np.ndarray) -> None:
    """Raise where predictions are NaN or infinite: sorting would hide them."""
    axes = tuple(range(1, array.ndim))
    bad = np.asarray(~np.isfinite(array).all(axis=axes))
    if bad.any():
        raise InputError(
            name,
            f"{bad.sum()} of {len(bad)} images have a value that is not finite, "
            f"first number {int(np.argmax(bad))}",
            "the model has diverged: use an earlier checkpoint, or train with a lower "
            "learning rate or gradient clipping",
        )


def whole(name: str, array: np.ndarray, below: int) -> None:
    """Raise unless all values are whole numbers in 0..below-1."""
    good = (array >= 0) & (array < below) & (array == np.floor(array))
    if not good.all():
        raise ValueError(
            f"{name} holds {array[~good].flat[0]}; expected whole numbers from 0 "
            f"to {below - 1}"
        )
