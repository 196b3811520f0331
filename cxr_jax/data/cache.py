"""Decoded pictures, held in memory so that no later epoch reads or decodes them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from cxr_jax.data import memory, roles, source
from tfds_builders.common.errors import InputError

# What is left over is for the program itself.
_SHARE = 0.8
# Pictures that a thread decodes at a time.
_RUN = 64


def hold(splits: roles.Splits, config: ConfigDict) -> roles.Splits:
    """Train and val with their decoded pictures; test is read only once, at the end.

    Args:
      splits: of a run.
      config: `config.data`; unless its `cache` is 'memory', nothing is done.

    Raises:
      InputError: they do not fit into the memory that is available.
    """
    if config.cache != "memory":
        return splits
    parts = {role: getattr(splits, role) for role in ("train", "val")}
    _check_room(list(parts.values()), config)
    return splits._replace(
        **{
            role: split._replace(pixels=decoded(split, config.size, config.square))
            for role, split in parts.items()
        }
    )


def decoded(split: source.Split, size: int, square: str) -> np.ndarray:
    """Every picture of a split in its order, [N, size, size, 1] of the stored type.

    Args:
      split: of N examples.
      size, square: see `source.decode`.
    """
    pixels = np.empty((split.size, size, size, 1), roles.image_dtype(split))

    def fill(start: int) -> int:
        run = np.arange(start, min(start + _RUN, split.size))
        pixels[run] = source.images(split, run, size, square)
        return len(run)

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(
            total=split.size, desc=f"decode {split.split}", unit=" images", disable=None
        ) as progress,
    ):
        for done in pool.map(fill, range(0, split.size, _RUN)):
            progress.update(done)
    return pixels


def _check_room(parts: list[source.Split], config: ConfigDict) -> None:
    images, dtype = sum(split.size for split in parts), roles.image_dtype(parts[0])
    needed = images * config.size**2 * dtype.itemsize
    room = _SHARE * memory.available()
    if needed > room:
        raise InputError(
            "config.data.cache",
            f"is 'memory': {images} images of {config.size} x {config.size} {dtype} "
            f"need {needed / 1e9:.1f} GB, and there is room for {room / 1e9:.1f} GB",
            "set config.data.cache=none, which reads them anew in every epoch, or a "
            "smaller config.data.size",
        )
