"""Where the decoded pictures live, so that no later epoch reads or decodes them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from cxr_jax.data import memory, roles, source
from cxr_jax.devices import processes
from tfds_builders.common.errors import InputError

# What is left over is for the program itself; on a device also for the training.
_HOST_SHARE, _DEVICE_SHARE = 0.8, 0.4
# Pictures that a thread decodes at a time.
_RUN = 64


def residency(splits: roles.Splits, config: ConfigDict) -> str:
    """'device', 'host' or 'disk': where the training pictures are to live.

    Args:
      splits: of a run; val is held on the host unless it is 'disk'.
      config: `config.data`; its `residency` is one of them, or 'auto': the first of
        them for which there is room. The batches are the same in all three.

    Raises:
      InputError: there is no room where the config wants them.
    """
    train, val = bytes_of(splits.train, config), bytes_of(splits.val, config)
    host = _HOST_SHARE * memory.available()
    device = _DEVICE_SHARE * _device_memory()
    needed = {"device": train, "host": train + val}
    room = {"device": device if train + val <= host else 0, "host": host}
    if config.residency == "auto":
        places = [*needed, "disk"]
        fits = [needed.get(place, 0) <= room.get(place, 0) for place in places]
        # The same for all processes: it is another program.
        return places[processes.largest(fits.index(True))]
    place = config.residency
    if place != "disk" and needed[place] > room[place]:
        raise InputError(
            "config.data.residency",
            f"is {place!r}: {splits.train.size + splits.val.size} images of "
            f"{config.size} x {config.size} {roles.image_dtype(splits.train)} need "
            f"{needed[place] / 1e9:.1f} GB, and there is room for "
            f"{room[place] / 1e9:.1f} GB",
            "set config.data.residency=auto, or =disk, which reads them anew in every "
            "epoch, or a smaller config.data.size",
        )
    return place


def hold(splits: roles.Splits, config: ConfigDict) -> roles.Splits:
    """Train and val with their decoded pictures; test is read only once, at the end.

    Args:
      splits: of a run.
      config: `config.data`, for `size` and `square`.
    """
    parts = {role: getattr(splits, role) for role in ("train", "val")}
    return splits._replace(
        **{
            role: split._replace(pixels=decoded(split, config.size, config.square))
            for role, split in parts.items()
        }
    )


def decoded(split: source.Split, size: int, square: str) -> dict[str, np.ndarray]:
    """Every picture of a split in its order, {name: [N, size, size, 1]} as stored.

    Args:
      split: of N examples.
      size, square: see `source.decode`.
    """
    shape = (split.size, size, size, 1)
    pixels = {name: np.empty(shape, dtype) for name, dtype in _dtypes(split).items()}

    def fill(start: int) -> int:
        run = np.arange(start, min(start + _RUN, split.size))
        for name, found in source.pictures(split, run, size, square).items():
            pixels[name][run] = found
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


def bytes_of(split: source.Split, config: ConfigDict) -> int:
    """What the decoded pictures of a split take, with their masks; see `residency`."""
    each = sum(dtype.itemsize for dtype in _dtypes(split).values())
    return split.size * config.size**2 * each


def _dtypes(split: source.Split) -> dict[str, np.dtype]:
    stored = {"image": roles.image_dtype(split), "mask": np.dtype(np.uint8)}
    return {name: stored[name] for name in split.pictures}


def _device_memory() -> int:
    """Bytes that are free on the smallest device of this process."""
    free = []
    for device in jax.local_devices():
        found = device.memory_stats()  # None on the CPU
        if found is None:
            return memory.available()
        free.append(found["bytes_limit"] - found["bytes_in_use"])
    return min(free)
