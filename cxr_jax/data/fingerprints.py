"""Fingerprint, hash and statistics of images, each read and decoded once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from cxr_jax.data.decode import stored
from cxr_jax.data.split import Split
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.duplicates.fingerprints import fingerprint, pixel_hash
from tfds_builders.common.errors import InputError

SIDE = 32  # of a thumbnail
BORDER = 4  # pixels of a thumbnail, from each side: an eighth of the picture
BINS = 64  # of a histogram, over the whole range of the stored type
_AT_ONCE = 32  # images per unit of work


class Pictures(NamedTuple):
    """One row per image.

    Attributes:
      fingerprint: float32 [N, D], to find near-duplicates by.
      pixel_hash: [N], equal if type, shape and all pixels are.
      thumbnail: uint8 [N, SIDE, SIDE], stretched, area-averaged.
      histogram: float32 [N, BINS], shares of pixels.
      border_histogram: float32 [N, BINS], of the border alone: BORDER of SIDE on each side.
      height, width: int [N], as stored.
      dtype: [N] 'uint8' or 'uint16'.
      lowest, highest: float32 [N], shares of pixels at either end of the range.
      blank: bool [N], all pixels are equal.
    """

    fingerprint: np.ndarray
    pixel_hash: np.ndarray
    thumbnail: np.ndarray
    histogram: np.ndarray
    border_histogram: np.ndarray
    height: np.ndarray
    width: np.ndarray
    dtype: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    blank: np.ndarray


def read(splits: Iterable[Split], name: str = "") -> Pictures:
    """Reads all images of some splits, one split after the other.

    name: shown beside the progress bar.

    Raises:
      InputError: an image cannot be decoded.
    """
    splits = list(splits)
    work = [
        (split, split.rows[i : i + _AT_ONCE])
        for split in splits
        for i in range(0, split.size, _AT_ONCE)
    ]
    # Shown in a terminal, not in a log.
    bar = tqdm(
        total=sum(split.size for split in splits),
        desc=name,
        unit=" images",
        mininterval=0.5,
        disable=None,
    )
    rows = []
    # OpenCV would start its own threads within ours.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with bar, Workers() as workers:
            for some in workers.in_order(_read_some, work, crashed=None):
                rows += some
                bar.update(len(some))
    finally:
        cv2.setNumThreads(threads)
    return Pictures(*(np.array(column) for column in zip(*rows, strict=True)))


def decode(split, row: int) -> np.ndarray:
    """Pixels [H, W] as stored.

    Args:
      split: a `split.Split`.
      row: one of `split.rows`.
    """
    pixels = stored(split.read(int(row))["image"])
    if pixels is None or pixels.ndim != 2:
        found = "cannot be decoded" if pixels is None else "is in colour"
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"the image of record {row} {found}",
            "build the dataset again with tfds_builders.build",
        )
    return pixels


def as_8bit(pixels: np.ndarray) -> np.ndarray:
    """Scales to uint8: the white of uint16 becomes the white of uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    return np.rint(pixels * (255 / np.iinfo(pixels.dtype).max)).astype(np.uint8)


def _read_some(work) -> list[tuple]:
    split, rows = work
    return [_summarised(decode(split, row)) for row in rows]


def _summarised(pixels: np.ndarray) -> tuple:
    """The fields of `Pictures` for one image, in order."""
    height, width = pixels.shape
    top = int(np.iinfo(pixels.dtype).max)
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    every, inner = (
        cv2.calcHist([part], [0], None, [256], [0, top + 1]).reshape(BINS, -1)
        for part in (pixels, _within_border(pixels))
    )
    every, inner = every.sum(axis=1), inner.sum(axis=1)
    low, high, _, _ = cv2.minMaxLoc(pixels)
    return (
        fingerprint(pixels),
        pixel_hash(pixels),
        as_8bit(small),
        every / pixels.size,
        (every - inner) / max((every - inner).sum(), 1),
        height,
        width,
        pixels.dtype.name,
        1 - cv2.countNonZero(pixels) / pixels.size,
        int(np.count_nonzero(pixels == top)) / pixels.size,
        low == high,
    )


def _within_border(pixels: np.ndarray) -> np.ndarray:
    """What the border leaves; at least a row and a column of it are border."""
    rows, columns = (max(1, round(size * BORDER / SIDE)) for size in pixels.shape)
    return np.ascontiguousarray(pixels[rows:-rows, columns:-columns])
