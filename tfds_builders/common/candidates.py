"""Which pairs of pictures could be copies: two linear descriptors, many products.

All chest films look alike, and a crop moves every edge. So the low frequencies of a
fingerprint are projected onto the directions in which pictures differ much between
each other and little when they are cropped (Fisher's linear discriminant, learned
from the pictures that are compared: no labels are needed, a crop can be computed).
What passes is looked at again: the whitened low frequencies of 17 crops of one picture
against the other picture. The crop that fits best is where registration starts.

Cosines are even or odd under a left-right flip, and so are the descriptors: the
mirrored picture's descriptor is the same with some signs changed.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.linalg

from tfds_builders.common.fingerprints import SIDE, fingerprint

_POOL = 3  # the descriptors see 32 x 32 pixels
_CYCLES = 16  # half periods per side
_LENGTH = 128  # of the first descriptor
_CROP = 0.06  # of the side, off each edge
_WITHIN = 0.2  # share of the total scatter that is added to that of the crops
_RIDGE = 0.1  # share of the mean variance that is added before whitening
_NOISE, _NOISE_WEIGHT = 256, 0.25  # random pictures, and what one counts
_BLOCK = 2048
_CHUNK = 512  # pictures or pairs at a time: stays in the cache

# A copy is below these in one of 1000 cases (measured on 1327 films, 10 alterations).
FIRST = 0.40
SECOND = 0.55

# Shares of the side (left, right, top, bottom) that the second descriptors cut off.
_CORNERS = np.array(list(itertools.product((0, 1), repeat=4)), np.float32)
CROPS = np.concatenate([np.zeros((1, 4)), 0.015 + 0.04 * _CORNERS]).astype("f4")

_ROW, _COLUMN = np.indices((_CYCLES, _CYCLES))
_KEPT = (np.hypot(_ROW, _COLUMN) >= 1) & (np.hypot(_ROW, _COLUMN) <= _CYCLES - 1)
_ODD = _COLUMN[_KEPT] % 2 == 1


class Descriptor(NamedTuple):
    """Linear maps from the kept frequencies [F], learned from pictures."""

    mean: np.ndarray  # [F]
    first: np.ndarray  # [F, 128] discriminant directions
    first_odd: np.ndarray  # bool [128]: changes its sign in the mirror
    second: np.ndarray  # [F, F] whitening
    second_odd: np.ndarray  # bool [F]


class Candidates(NamedTuple):
    """Pairs that could be copies, and how one lies on the other."""

    left: np.ndarray  # [n] indices
    right: np.ndarray  # [n]
    mirrored: np.ndarray  # bool [n]: right has to be flipped
    start: np.ndarray  # float32 [n, 4], as in registration.register


def learn(fingerprints: np.ndarray) -> Descriptor:
    """The descriptors that tell these pictures [N, 9216] apart.

    Random pictures with the spectrum of natural ones are added, which decide where
    there are few pictures or none.
    """
    counts = [1.0] * len(fingerprints) + [_NOISE_WEIGHT] * _NOISE
    weight = np.sqrt(np.array(counts, np.float32) / sum(counts))[:, None]
    small = _shrink(np.concatenate([fingerprints, _random_fingerprints()]))
    plain = _spectrum(small)
    mean = np.square(weight[:, 0]) @ plain
    mean[_ODD] = 0  # pictures and their mirror images count alike
    moved = [weight * (_spectrum(small, _CROP * c) - plain) for c in _CORNERS[1:]]
    spread = weight * (plain - mean)
    values, directions, whitening = [], [], []
    for part in (~_ODD, _ODD):
        total = spread[:, part].T @ spread[:, part]
        within = sum(move[:, part].T @ move[:, part] for move in moved) / len(moved)
        value, vector = scipy.linalg.eigh(total, within + _WITHIN * total)
        values.append(value)
        directions.append(_embed(vector, part))
        value, vector = scipy.linalg.eigh(total)
        value = np.sqrt(np.maximum(value, 0) + _RIDGE * value.mean())
        whitening.append(_embed(vector / value, part))
    best = np.argsort(-np.concatenate(values), kind="stable")[:_LENGTH]
    odd = np.repeat([False, True], [(~_ODD).sum(), _ODD.sum()])
    return Descriptor(
        mean=mean,
        first=np.concatenate(directions, 1)[:, best],
        first_odd=odd[best],
        second=np.concatenate(whitening, 1),
        second_odd=odd,
    )


def describe(descriptor: Descriptor, fingerprints, order) -> tuple:
    """(first [N, 128], second [N, 17, F]) of fingerprints[order], of unit length."""
    count = len(order)
    first = np.empty((count, _LENGTH), np.float32)
    second = np.empty((count, len(CROPS), len(_ODD)), np.float32)
    for at in range(0, count, _CHUNK):
        part = slice(at, at + _CHUNK)
        small = _shrink(fingerprints[order[part]])
        plain = _spectrum(small) - descriptor.mean
        first[part] = _unit(plain @ descriptor.first)
        for k, crop in enumerate(CROPS):
            cropped = _spectrum(small, crop) - descriptor.mean
            second[part, k] = _unit(cropped @ descriptor.second)
    return first, second


def find(descriptor: Descriptor, left: tuple, right: tuple | None) -> Iterator:
    """Yield Candidates between two described sets, or within one (left < right)."""
    odd = descriptor.first_odd
    within = right is None
    right = left if within else right
    parts = [
        np.ascontiguousarray(s[0][:, p]) for s in (left, right) for p in (~odd, odd)
    ]
    left_even, left_odd, right_even, right_odd = parts
    for top in range(0, len(left_even), _BLOCK):
        rows = slice(top, top + _BLOCK)
        for side in range(top if within else 0, len(right_even), _BLOCK):
            columns = slice(side, side + _BLOCK)
            even = left_even[rows] @ right_even[columns].T
            odds = left_odd[rows] @ right_odd[columns].T
            for mirrored in (False, True):
                product = even - odds if mirrored else even + odds
                i, j = np.divmod(
                    np.flatnonzero(product.ravel() > FIRST), product.shape[1]
                )
                i, j = i + top, j + side
                if within:
                    i, j = i[i < j], j[i < j]
                yield _look_again(descriptor, left[1], right[1], i, j, mirrored)


def _look_again(descriptor, left, right, i, j, mirrored: bool) -> Candidates:
    """Those of the pairs (i, j) that fit after one of them is cropped."""
    sign = np.where(descriptor.second_odd & mirrored, -1, 1).astype(np.float32)
    kept, starts = [], []
    for at in range(0, len(i), _CHUNK):
        ours, theirs = left[i[at : at + _CHUNK]], right[j[at : at + _CHUNK]]
        products = np.concatenate(
            [
                theirs @ (ours[:, 0] * sign)[:, :, None],
                ours @ (theirs[:, 0] * sign)[:, :, None],
            ],
            1,
        )[:, :, 0]
        best = products.argmax(1)
        good = np.flatnonzero(products.max(1) > SECOND)
        kept.append(at + good)
        starts.append(_STARTS[int(mirrored), best[good]])
    kept = np.concatenate([np.empty(0, int), *kept])
    start = np.concatenate([np.empty((0, 4), np.float32), *starts])
    return Candidates(i[kept], j[kept], np.full(len(kept), mirrored), start)


def _starts() -> np.ndarray:
    """[2, 34, 4]: where the left picture lies in the right one, mirrored or not.

    First for the right picture cropped by each of CROPS, then for the left one.
    """
    table = np.empty((2, 2, len(CROPS), 4), np.float32)
    for mirrored, crop in itertools.product((0, 1), range(len(CROPS))):
        before, after, above, below = CROPS[crop]
        if mirrored:
            before, after = after, before
        width, height = 1 - before - after, 1 - above - below
        shift = (before - after) / 2, (above - below) / 2
        table[mirrored, 0, crop] = width, shift[0], height, shift[1]
        before, after, _, _ = CROPS[crop]
        shift = (before - after) / 2, shift[1]
        inverse = 1 / width, -shift[0] / width, 1 / height, -shift[1] / height
        table[mirrored, 1, crop] = inverse
    return table.reshape(2, -1, 4)


_STARTS = _starts()


def _shrink(fingerprints: np.ndarray) -> np.ndarray:
    """float32 [N, 32, 32] of [N, 9216]."""
    side = SIDE // _POOL
    cells = fingerprints.reshape(-1, side, _POOL, side, _POOL)
    return cells.mean((2, 4), dtype=np.float32)


def _spectrum(pictures: np.ndarray, crop=(0, 0, 0, 0)) -> np.ndarray:
    """The kept frequencies [N, F] of the cropped pictures [N, S, S] (cosines)."""
    left, right, top, bottom = crop
    across = _cosines(pictures.shape[2], left, right)
    down = _cosines(pictures.shape[1], top, bottom)
    return (down @ (pictures @ across.T))[:, _KEPT]


def _cosines(side: int, before: float, after: float) -> np.ndarray:
    """[_CYCLES, side] of unit length, over what is left of the side after cropping."""
    at = ((np.arange(side) + 0.5) / side - before) / (1 - before - after)
    waves = np.cos(np.pi * np.arange(_CYCLES)[:, None] * at) * ((at > 0) & (at < 1))
    return (waves / np.linalg.norm(waves, axis=1, keepdims=True)).astype(np.float32)


def _embed(columns: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The columns [n, k], which belong to the n frequencies of `part`, as [F, k]."""
    whole = np.zeros((len(part), columns.shape[1]), np.float32)
    whole[part] = columns
    return whole


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _random_fingerprints() -> np.ndarray:
    """[_NOISE, 9216] of pictures whose amplitude falls with the frequency's 1.5th power."""
    rng = np.random.default_rng(0)
    frequency = np.fft.fftfreq(SIDE)
    radius = np.hypot(*np.meshgrid(frequency, frequency))
    amplitude = np.maximum(radius, 1 / SIDE) ** -1.5
    white = np.fft.fft2(rng.standard_normal((_NOISE, SIDE, SIDE)))
    return np.stack([fingerprint(p) for p in np.fft.ifft2(white * amplitude).real])
