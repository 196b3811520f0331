"""Registers one fingerprint to another and measures how well they agree.

A crop, a resize and a stretch together are one scale and one shift per axis. These
four numbers are found by Gauss-Newton steps on the squared difference (Lucas and
Kanade 1981), first on a coarse picture, then on its finest detail. Detail is what two
exposures of one patient do not share.

What the coarse picture and the middle detail need of a picture is prepared once, as a
`Look`: a picture is compared with many others, and few of them come near enough for
finest detail to be made at all.
"""

from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.common.duplicates.fingerprints import SIDE

_COARSE, _MIDDLE = 32, 48  # sides of the smaller pictures
_COARSE_STEPS = 3
_MIDDLE_STEPS = (1, 2)  # before and after the pairs that are far from agreeing are left
_FINE_STEPS = 3
_LARGEST_STEP = 0.05
_SCALES, _SHIFT = (0.8, 1.25), 0.12
_DETAIL = 1 / 48  # standard deviation of the high-pass filter, in sides
_AROUND = 3  # standard deviations of that filter
_FLOOR = 0.6  # detail, relative to the picture's, that counts half
_MARGIN = 1 / 24  # border whose surroundings the other picture lacks, in sides
_TILES = {_MIDDLE: 8, SIDE: 12}  # per side
_SHARED = 0.1  # least mean weight of the overlap; films have 0.26 to 0.5
_QUANTILE = 0.4  # of the tiles
# What copies are above on the way, or are taken for others: the median tile of middle
# detail after its first step, and finest detail before its own steps. Of 800 real films,
# each altered in the ten ways that move or spoil them most, no copy was below 0.856 and
# 0.778; of drawn films of different patients, which share their bones, a fifth is above.
_MIDDLE_LEAST, _FINE_LEAST = 0.82, 0.7
# Of the integers in a look. Detail is at most 7: one pixel against the 7 x 7 around it.
_DETAIL_UNIT, _WEIGHT_UNIT = 1 / 18, 1 / 255


class Look(NamedTuple):
    """What is prepared of n pictures to see whether they could agree."""

    coarse: np.ndarray  # int8 [n, 32, 32]
    detail: np.ndarray  # int8 [n, 48, 48], in _DETAIL_UNIT
    weight: np.ndarray  # uint8 [n, 48, 48], in _WEIGHT_UNIT

    def take(self, places: np.ndarray) -> "Look":
        return Look(*(field[places] for field in self))


def look(pictures: np.ndarray) -> Look:
    """Of float32 [n, 96, 96] fingerprints."""
    detail, weight = _detail(_shrink(pictures, _MIDDLE))
    return Look(
        np.rint(_shrink(pictures, _COARSE)).astype(np.int8),
        np.rint(detail / _DETAIL_UNIT).astype(np.int8),
        np.rint(weight / _WEIGHT_UNIT).astype(np.uint8),
    )


def mirror(looks: Look, which: np.ndarray) -> Look:
    """The looks with some of them, bool [n], flipped left to right."""
    return Look(*(np.where(which[:, None, None], f[:, :, ::-1], f) for f in looks))


def approach(templates: Look, others: Look, start: np.ndarray):
    """Registers the coarse pictures and then the middle detail.

    Args:
      templates, others: n looks, compared one by one.
      start: [n, 4] scale and shift across, scale and shift down: the template's point
        x, measured from the middle in sides, lies at scale * x + shift in the other.

    Returns:
      (int [m] the pairs that may agree, their places [m, 4], as `start`).
    """
    place = start.astype(np.float32)
    coarse = [each.coarse.astype(np.float32) for each in (templates, others)]
    plain = np.ones_like(coarse[0])
    for _ in range(_COARSE_STEPS):
        place = _step(coarse[0], plain, coarse[1], place)
    middle = [
        field * np.float32(unit)
        for each in (templates, others)
        for field, unit in ((each.detail, _DETAIL_UNIT), (each.weight, _WEIGHT_UNIT))
    ]
    for _ in range(_MIDDLE_STEPS[0]):
        place = _step(*middle[:3], place)
    near = np.flatnonzero(_agreement(*middle, place, quantile=0.5) > _MIDDLE_LEAST)
    middle, place = [field[near] for field in middle], place[near]
    for _ in range(_MIDDLE_STEPS[1]):
        place = _step(*middle[:3], place)
    return near, place


def settle(templates: np.ndarray, others: np.ndarray, place: np.ndarray):
    """How well the finest detail agrees, [n], from places that `approach` found.

    Six tenths of the tiles correlate at least as well, so that a label or an arrow in
    some of them does not speak against a copy. Pixels and tiles count by how much
    detail both pictures have there, so a part that is saturated in one does not either.
    0 where the pictures share too little to tell, or are far from agreeing.

    Args:
      templates, others: float32 [n, 96, 96] fingerprints, compared one by one.
    """
    fine = [*_detail(templates), *_detail(others)]
    agreement = _agreement(*fine, place)
    near = np.flatnonzero(agreement > _FINE_LEAST)
    fine, place = [field[near] for field in fine], place[near]
    for _ in range(_FINE_STEPS):
        place = _step(*fine[:3], place)
    agreement[:] = 0
    agreement[near] = _agreement(*fine, place)
    return agreement


def _step(templates, weights, others, place) -> np.ndarray:
    """A better place [n, 4], by one Gauss-Newton step."""
    side = templates.shape[1]
    margin = max(1, round(_MARGIN * side))
    inner = slice(margin, side - margin)
    before = slice(margin - 1, side - margin - 1)
    behind = slice(margin + 1, side - margin + 1)
    moved, inside = _move(others, place, margin)
    weight = (weights * inside)[:, inner, inner]
    # Slopes per side of the picture, in the frame of the other one.
    across = moved[:, inner, behind] - moved[:, inner, before]
    across *= side / 2 / place[:, 0, None, None]
    down = moved[:, behind, inner] - moved[:, before, inner]
    down *= side / 2 / place[:, 2, None, None]
    error = (templates[:, inner, inner] - moved[:, inner, inner]) * weight
    # The derivatives are x * across, across, y * down, down; their products separate.
    at = _positions(side)[inner]
    linear = np.stack([at, np.ones_like(at)], 1)
    square = at[:, None] ** np.array([[2, 1], [1, 0]], np.float32).ravel()
    normal = np.empty((len(place), 4, 4), np.float32)
    xx = np.einsum("nyx,nyx,nyx->nx", across, across, weight) @ square
    yy = np.einsum("nyx,nyx,nyx->ny", down, down, weight) @ square
    yx = linear.T @ (across * down * weight) @ linear
    normal[:, :2, :2], normal[:, 2:, 2:] = xx.reshape(-1, 2, 2), yy.reshape(-1, 2, 2)
    normal[:, 2:, :2], normal[:, :2, 2:] = yx, yx.transpose(0, 2, 1)
    slope = np.concatenate(
        [
            np.einsum("nyx,nyx->nx", across, error) @ linear,
            np.einsum("nyx,nyx->ny", down, error) @ linear,
        ],
        1,
    )
    size = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    normal += (2.5e-4 * size + 1e-6) * np.eye(4, dtype=np.float32)
    step = np.linalg.solve(normal, slope[:, :, None])[:, :, 0]
    place = place + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    place[:, 0::2] = np.clip(place[:, 0::2], *_SCALES)
    place[:, 1::2] = np.clip(place[:, 1::2], -_SHIFT, _SHIFT)
    return place


def _agreement(
    templates, weights, others, other_weights, place, quantile=_QUANTILE
) -> np.ndarray:
    """Weighted quantile of the correlations in tiles [n], the others moved there."""
    side = templates.shape[1]
    moved, inside = _move(others, place, round(_MARGIN * side))
    weight = inside * weights * _move(other_weights, place, 0)[0]
    enough = weight.sum((1, 2)) >= _SHARED * inside.sum((1, 2))
    one, two = templates * weight, moved * weight
    products = weight, one, two, one * templates, two * moved, one * moved
    sums = np.stack([_tile_sums(product) for product in products])
    correlation = _correlation(sums)
    order = np.argsort(correlation, 1, kind="stable")
    below = np.cumsum(np.take_along_axis(sums[0], order, 1), 1)
    at = (below < quantile * below[:, -1:]).sum(1, keepdims=True)
    found = np.take_along_axis(np.take_along_axis(correlation, order, 1), at, 1)[:, 0]
    return np.where(enough, found, 0)


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Weighted correlations from sums of w, aw, bw, aaw, bbw, abw [6, ...]."""
    total, a, b, aa, bb, ab = sums
    total = np.maximum(total, 1e-6)
    aa, bb = aa / total - (a / total) ** 2, bb / total - (b / total) ** 2
    ab = ab / total - a * b / total**2
    return ab / np.sqrt(np.maximum(aa, 1e-3) * np.maximum(bb, 1e-3))


def _tile_sums(pictures: np.ndarray) -> np.ndarray:
    """[n, tiles] of [n, S, S]."""
    side = pictures.shape[1]
    rows = np.repeat(np.eye(_TILES[side], dtype=np.float32), side // _TILES[side], 1)
    return (rows @ pictures @ rows.T).reshape(len(pictures), len(rows) ** 2)


def _move(pictures: np.ndarray, place: np.ndarray, margin: int):
    """The pictures as they lie under the template, and the pixels where both are."""
    side = pictures.shape[1]
    middle = (side - 1) / 2
    moved = np.empty_like(pictures)
    rows = np.zeros((len(pictures), 2, 3))
    rows[:, 0, 0], rows[:, 1, 1] = place[:, 0], place[:, 2]
    rows[:, :, 2] = middle - place[:, 0::2] * middle + side * place[:, 1::2]
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    for picture, out, row in zip(pictures, moved, rows, strict=True):
        cv2.warpAffine(picture, row, (side, side), out, flags, border)
    at, limit = _positions(side), 0.5 - margin / side
    x = np.abs(place[:, 0, None] * at + place[:, 1, None]) <= limit
    y = np.abs(place[:, 2, None] * at + place[:, 3, None]) <= limit
    own = np.abs(at) <= limit
    return moved, ((x & own)[:, None, :] & (y & own)[:, :, None]).astype(np.float32)


def _positions(side: int) -> np.ndarray:
    """Of the pixels, from the middle, in sides."""
    return ((np.arange(side) - (side - 1) / 2) / side).astype(np.float32)


def _detail(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Detail in units of the local detail [n, S, S], and how much of it is there.

    What counts is the least detail in the neighbourhood: the outline of something on
    an empty ground, as of collimation, of a letter or of a CT slice, is no evidence.
    """
    sigma = _DETAIL * pictures.shape[1]
    window = (2 * round(3 * sigma) + 1,) * 2
    around = np.ones((2 * round(_AROUND * sigma) + 1,) * 2, np.uint8)
    detail, weight = np.empty_like(pictures), np.empty_like(pictures)
    for picture, out, share in zip(pictures, detail, weight, strict=True):
        border = cv2.BORDER_REFLECT
        fine = picture - cv2.GaussianBlur(picture, (0, 0), sigma, borderType=border)
        power = np.square(fine)
        local = cv2.blur(power, window, borderType=border)
        floor = local + (_FLOOR**2 * power.mean() + 1e-6)
        np.divide(fine, np.sqrt(floor), out)
        cv2.erode(local / floor, around, share, borderType=border)
    return detail, weight


def _shrink(pictures: np.ndarray, side: int) -> np.ndarray:
    small = np.empty((len(pictures), side, side), np.float32)
    for picture, out in zip(pictures, small, strict=True):
        cv2.resize(picture, (side, side), out, interpolation=cv2.INTER_AREA)
    return small
