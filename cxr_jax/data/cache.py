"""Keeps decoded images in memory, so that they are read and decoded only once."""

from __future__ import annotations

import os
import pathlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import jax
import numpy as np
from tqdm import tqdm

from cxr_jax.data import decode, roles
from cxr_jax.data.split import Split
from cxr_jax.devices import processes
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

# The rest is for the program itself and, on a device, for training.
_HOST_SHARE, _DEVICE_SHARE = 0.8, 0.4
# Images that a thread decodes at a time.
_RUN = 64
# Control groups, version 2 and 1: {controller: (mount, limit, bytes in use)}. Both count
# cached files too, which can be evicted: only anonymous memory is in use.
_FILES = {
    "": ("sys/fs/cgroup", "memory.max", "anon"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "total_rss"),
}


def residency(splits: roles.Splits, config: ConfigDict) -> str:
    """Decides where the training images are kept: 'device', 'host' or 'disk'.

    Args:
      splits: of a run; val is held on the host unless it is 'disk'.
      config: `config.data`; its `residency` is one of the three, or 'auto': the first
        with enough memory. Batches are the same in all three.

    Raises:
      InputError: there is not enough memory where the config puts them.
    """
    train, val = bytes_of(splits.train, config), bytes_of(splits.val, config)
    host = _HOST_SHARE * available_memory()
    device = _DEVICE_SHARE * _device_memory()
    needed = {"device": train, "host": train + val}
    room = {"device": device if train + val <= host else 0, "host": host}
    if config.residency == "auto":
        places = [*needed, "disk"]
        fits = [needed.get(place, 0) <= room.get(place, 0) for place in places]
        # All processes must agree: each place compiles to a different program.
        return places[processes.largest(fits.index(True))]
    place = config.residency
    if place != "disk" and needed[place] > room[place]:
        raise InputError(
            "config.data.residency",
            f"is {place!r}: {splits.train.size + splits.val.size} images of "
            f"{config.size} x {config.size} {roles.image_dtype(splits.train)} need "
            f"{needed[place] / 1e9:.1f} GB, but only "
            f"{room[place] / 1e9:.1f} GB are free",
            "set config.data.residency=auto, or =disk to read them in every epoch, "
            "or a smaller config.data.size",
        )
    return place


def hold(splits: roles.Splits, config: ConfigDict) -> roles.Splits:
    """Loads the decoded images of train and val; test is read only once, at the end.

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


def decoded(split: Split, size: int, square: str) -> dict[str, np.ndarray]:
    """Decodes every image of a split in order, {name: [N, size, size, 1]} as stored.

    Args:
      split: of N examples.
      size, square: see `decode.image`.
    """
    shape = (split.size, size, size, 1)
    pixels = {name: np.empty(shape, dtype) for name, dtype in _dtypes(split).items()}

    def fill(start: int) -> int:
        run = np.arange(start, min(start + _RUN, split.size))
        for name, found in decode.pictures(split, run, size, square).items():
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


def bytes_of(split: Split, config: ConfigDict) -> int:
    """Bytes of the decoded images of a split, including masks."""
    each = sum(dtype.itemsize for dtype in _dtypes(split).values())
    return split.size * config.size**2 * each


def _dtypes(split: Split) -> dict[str, np.dtype]:
    stored = {"image": roles.image_dtype(split), "mask": np.dtype(np.uint8)}
    return {name: stored[name] for name in split.pictures}


def _device_memory() -> int:
    """Free bytes on the fullest device of this process."""
    free = []
    for device in jax.local_devices():
        found = device.memory_stats()  # None on the CPU
        if found is None:
            return available_memory()
        free.append(found["bytes_limit"] - found["bytes_in_use"])
    return min(free)


def available_memory(root: pathlib.Path = pathlib.Path("/")) -> int:
    """Bytes this process can use without swapping, within the limits of a container.

    Args:
      root: of the file system; Linux reports memory in `proc` and the limits of
        containers and batch jobs in `sys/fs/cgroup`. Elsewhere memory is assumed free.
    """
    meminfo = root / "proc/meminfo"
    if not meminfo.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([_fields(meminfo)["MemAvailable:"] * 1024, *_limits(root)])


def _limits(root: pathlib.Path) -> list[int]:
    """Bytes left to the control group of this process and to each of its parents."""
    left = []
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controller, path = line.split(":", 2)
        if controller not in _FILES:
            continue
        mount, name, used = _FILES[controller]
        # A container sees its own group at the mount, whatever the path is.
        folder = root / mount / path.lstrip("/")
        for group in (folder, *folder.parents):
            limit = group / name
            if limit.exists() and (text := limit.read_text().strip()) != "max":
                left.append(int(text) - _fields(group / "memory.stat")[used])
    return left


def _fields(path: pathlib.Path) -> dict[str, int]:
    """The lines '<name> <number> ...' of a file."""
    return {
        name: int(number.split()[0])
        for name, number in (
            line.split(maxsplit=1) for line in path.read_text().splitlines()
        )
    }
