"""Which pairs of pictures could be copies: two linear descriptors, many products.

All chest films look alike, and a crop moves every edge. So the low frequencies of a
fingerprint are projected onto the directions in which pictures differ much between
each other and little when they are cropped (Fisher's linear discriminant, learned
from the pictures that are compared: no labels are needed, a crop can be computed).
What passes is compared again: the whitened low frequencies of 17 crops of one picture
against the other picture. The crop that fits best is where registration starts.

Cosines are even or odd under a left-right flip, and so are the descriptors: those of
the mirror image are the same with some signs changed.
"""

import collections
import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy

from tfds_builders.common.duplicates.fingerprints import SIDE, fingerprint

_POOL = 3  # the descriptors see 32 x 32 pixels
_WAVES = 16  # cosines per axis; the highest has 7.5 periods per side
_LENGTH = 128  # of the first descriptor
_CROP = 0.06  # of the side, off some edges: what the first one has to tolerate
_WITHIN = 0.2  # share of the total scatter that is added to that of the crops
_RIDGE = 0.1  # share of the mean variance that is added before whitening
_NOISE, _NOISE_WEIGHT = 256, 64  # random pictures, and how many others they are worth
_FEW = 300  # pictures, of which each counts half
_BLOCK, _PAIRS = 512, 32  # pictures, and pairs, at a time: what stays in the cache

# One copy in 1000 is below these (1327 real films, each altered in 26 ways). Of 21,165
# real films about 40 pairs per picture should pass the first, 1.4 the second.
FIRST, SECOND = 0.40, 0.55

_CORNERS = np.array(list(itertools.product((0, 1), repeat=4)), np.float32)
# Shares of the side (left, right, top, bottom) that the second descriptors cut off.
_CROPS = np.concatenate([np.zeros((1, 4)), 0.015 + 0.04 * _CORNERS])

_ROW, _COLUMN = np.indices((_WAVES, _WAVES))
_KEPT = (np.hypot(_ROW, _COLUMN) >= 1) & (np.hypot(_ROW, _COLUMN) <= _WAVES - 1)
_ODD = _COLUMN[_KEPT] % 2 == 1


class Descriptor(NamedTuple):
    """Linear maps from the F kept frequencies, learned from pictures."""

    mean: np.ndarray  # [F]
    first: np.ndarray  # [F, 128] discriminant directions
    first_odd: np.ndarray  # bool [128]: changes its sign in the mirror
    second: np.ndarray  # [F, F] whitening
    second_odd: np.ndarray  # bool [F]


class Described(NamedTuple):
    """What the descriptors say of N pictures; vectors of unit length."""

    first: np.ndarray  # [N, 128]
    second: np.ndarray  # [N, 17, F], of each crop; the first is the whole picture


class Candidates(NamedTuple):
    """Pairs that could be copies, and how one picture lies on the other."""

    left: np.ndarray  # [n] places in the first set
    right: np.ndarray  # [n] places in the second
    mirrored: np.ndarray  # bool [n]: right has to be flipped
    start: np.ndarray  # float32 [n, 4], as in registration.approach


def learn(fingerprints: np.ndarray) -> Descriptor:
    """The descriptors that tell these pictures [N, 9216] apart.

    Random pictures with the spectrum of natural ones are added, which decide where
    there are few pictures: otherwise two copies alone would define what all pictures
    have in common.
    """
    count = len(fingerprints)
    counts = np.full(count + _NOISE, _NOISE_WEIGHT / _NOISE)
    counts[:count] = count / (count + _FEW)
    weight = np.sqrt(counts / counts.sum()).astype(np.float32)[:, None]
    small = _shrink(np.concatenate([fingerprints, _random_fingerprints()]))
    plain = _spectrum(small)
    mean = np.square(weight[:, 0]) @ plain
    mean[_ODD] = 0  # pictures and their mirror images count alike
    spread = weight * (plain - mean)
    moved = [weight * (_spectrum(small, _CROP * c) - plain) for c in _CORNERS[1:]]
    values, directions, whitening = [], [], []
    for part in (~_ODD, _ODD):
        total = spread[:, part].T @ spread[:, part]
        within = sum(move[:, part].T @ move[:, part] for move in moved) / len(moved)
        value, vector = scipy.linalg.eigh(total, within + _WITHIN * total)
        values.append(value)
        directions.append(_embed(vector, part))
        value, vector = scipy.linalg.eigh(total)
        scale = np.sqrt(np.maximum(value, 0) + _RIDGE * value.mean())
        whitening.append(_embed(vector / scale, part))
    best = np.argsort(-np.concatenate(values), kind="stable")[:_LENGTH]
    odd = np.sort(_ODD)  # the even directions come first
    return Descriptor(
        mean=mean,
        first=np.concatenate(directions, 1)[:, best],
        first_odd=odd[best],
        second=np.concatenate(whitening, 1),
        second_odd=odd,
    )


def describe(
    descriptor: Descriptor,
    fingerprints: np.ndarray,
    order: np.ndarray,
    each: Callable = map,
) -> Described:
    """Of fingerprints[order]; [N, 9216], [N]. `each` is map, or that of a pool."""
    described = Described(
        np.empty((len(order), _LENGTH), np.float32),
        np.empty((len(order), len(_CROPS), len(_ODD)), np.float32),
    )

    def fill(at: int) -> None:
        part = slice(at, at + _BLOCK)
        small = _shrink(fingerprints[order[part]])
        for k, crop in enumerate(_CROPS):
            spectrum = _spectrum(small, crop) - descriptor.mean
            described.second[part, k] = _unit(spectrum @ descriptor.second)
            if k == 0:
                described.first[part] = _unit(spectrum @ descriptor.first)

    collections.deque(each(fill, range(0, len(order), _BLOCK)), maxlen=0)
    return described


def blocks(left: int, right: int | None = None) -> list[tuple[int, int]]:
    """What `find` is to be asked for, to see all pairs of two sets or within one."""
    within, right = right is None, left if right is None else right
    return [
        (top, side)
        for top in range(0, left, _BLOCK)
        for side in range(top if within else 0, right, _BLOCK)
    ]


def find(
    descriptor: Descriptor,
    left: Described,
    right: Described | None,
    block: tuple[int, int],
) -> list[Candidates]:
    """Pairs of a block between two sets or, without a second, within one (left < right).

    One list of those as they are, one of the mirrored.
    """
    within, right = right is None, left if right is None else right
    top, side = block
    rows, columns = left.first[top : top + _BLOCK], right.first[side : side + _BLOCK]
    evens, odds = (
        np.ascontiguousarray(rows[:, part]) @ columns[:, part].T
        for part in (~descriptor.first_odd, descriptor.first_odd)
    )
    found = []
    for mirrored in (False, True):
        product = evens - odds if mirrored else evens + odds
        i, j = np.divmod(np.flatnonzero(product.ravel() > FIRST), product.shape[1])
        i, j = i + top, j + side
        if within:
            i, j = i[i < j], j[i < j]
        found.append(_look_again(descriptor, left.second, right.second, i, j, mirrored))
    return found


def _look_again(descriptor, left, right, i, j, mirrored: bool) -> Candidates:
    """Those of the pairs (i, j) that fit once one of them is cropped."""
    sign = np.where(descriptor.second_odd & mirrored, -1, 1).astype(np.float32)
    kept, starts = [np.empty(0, int)], [np.empty((0, 4), np.float32)]
    for at in range(0, len(i), _PAIRS):
        ours, theirs = left[i[at : at + _PAIRS]], right[j[at : at + _PAIRS]]
        products = [
            (theirs @ (sign * ours[:, 0])[:, :, None])[:, :, 0],
            (ours @ (sign * theirs[:, 0])[:, :, None])[:, :, 0],
        ]
        products = np.concatenate(products, 1)
        best = products.argmax(1)
        good = np.flatnonzero(products.max(1) > SECOND)
        kept.append(at + good)
        starts.append(_STARTS[int(mirrored), best[good]])
    k = np.concatenate(kept)
    return Candidates(i[k], j[k], np.full(len(k), mirrored), np.concatenate(starts))


def _starts() -> np.ndarray:
    """[2, 34, 4]: how the left picture lies on the right one, mirrored or not.

    First where the right picture is cropped by each of _CROPS, then where the left is.
    """
    starts = np.empty((2, 2, len(_CROPS), 4), np.float32)
    for k, (left, right, top, bottom) in enumerate(_CROPS):
        x, width = (left - right) / 2, 1 - left - right
        y, height = (top - bottom) / 2, 1 - top - bottom
        starts[:, 0, k] = [(width, x, height, y), (width, -x, height, y)]
        starts[:, 1, k] = 1 / width, -x / width, 1 / height, -y / height
    return starts.reshape(2, -1, 4)


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
    """[_WAVES, side], each of unit length over what is left of the side."""
    at = ((np.arange(side) + 0.5) / side - before) / (1 - before - after)
    waves = np.cos(np.pi * np.arange(_WAVES)[:, None] * at) * ((at > 0) & (at < 1))
    return _unit(waves).astype(np.float32)


def _embed(columns: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The columns [n, k], which belong to the n frequencies of `part`, as [F, k]."""
    whole = np.zeros((len(part), columns.shape[1]), np.float32)
    whole[part] = columns
    return whole


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


@functools.cache
def _random_fingerprints() -> np.ndarray:
    """[256, 9216] of pictures whose amplitude falls with the frequency to the 1.5."""
    rng = np.random.default_rng(0)
    frequency = np.fft.fftfreq(SIDE)
    radius = np.hypot(frequency, frequency[:, None])
    amplitude = np.maximum(radius, 1 / SIDE) ** -1.5
    white = np.fft.fft2(rng.standard_normal((_NOISE, SIDE, SIDE)))
    return np.stack([fingerprint(p) for p in np.fft.ifft2(white * amplitude).real])
