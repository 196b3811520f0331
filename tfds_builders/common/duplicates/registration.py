"""Registers one fingerprint to another and measures how well they agree.

A crop, a resize and a stretch together are one scale and one shift per axis. These
four numbers are found by Gauss-Newton steps on the squared difference (Lucas and
Kanade 1981), first on a coarse picture, then on its finest detail. Detail is what two
exposures of one patient do not share.

What the coarse picture and the middle detail need of a picture is prepared once, as a
`Look`: a picture is compared with many others, and few of them come near enough for
finest detail to be made at all.

What is computed lies in memory that a thread keeps (`_room`): threads get fresh arrays
of this size from the system page by page, 40 pages for a pair.
"""

import math
import threading
from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.common.duplicates.fingerprints import SIDE

_COARSE, _MIDDLE = 32, 48  # sides of the smaller pictures
_COARSE_STEPS = 3
_MIDDLE_STEPS = (1, 2)  # before and after the pairs that are far from agreeing are left
_FINE_STEPS = (1, 2)  # in the same way
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
# detail, and the agreement of finest detail, each after its first step. No copy of real
# films was below 0.856 (800 films, each altered in the ten ways that move or spoil them
# most) and 0.908 (780, in all 28 ways of `python -m benchmarks.duplicates`). Of drawn
# films of different patients, which share their bones, a fifth is above the first, and of
# those one or two in a hundred above the second.
_MIDDLE_LEAST, _FINE_LEAST = 0.82, 0.85
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
    middle = _shrink(pictures, _MIDDLE)
    detail, weight = _detail(middle, np.empty_like(middle), np.empty_like(middle))
    return Look(
        np.rint(_shrink(pictures, _COARSE)).astype(np.int8),
        np.rint(detail / _DETAIL_UNIT).astype(np.int8),
        np.rint(weight / _WEIGHT_UNIT).astype(np.uint8),
    )


def mirror(looks: Look, which: np.ndarray) -> Look:
    """The looks with some of them, bool [n], flipped left to right."""
    if not which.any():
        return looks
    if which.all():
        return Look(*(field[:, :, ::-1] for field in looks))
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
    coarse = [
        _scaled(each.coarse, 1, f"coarse {k}")
        for k, each in enumerate((templates, others))
    ]
    for _ in range(_COARSE_STEPS):
        place = _step(coarse[0], None, coarse[1], place)
    middle = [
        _scaled(field, unit, f"{name} {k}")
        for k, each in enumerate((templates, others))
        for name, field, unit in (
            ("detail", each.detail, _DETAIL_UNIT),
            ("weight", each.weight, _WEIGHT_UNIT),
        )
    ]
    for _ in range(_MIDDLE_STEPS[0]):
        place = _step(*middle[:3], place)
    near = np.flatnonzero(_agreement(*middle, place, quantile=0.5) > _MIDDLE_LEAST)
    middle, place = [field[near] for field in middle[:3]], place[near]
    for _ in range(_MIDDLE_STEPS[1]):
        place = _step(*middle, place)
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
    fine = [
        field
        for k, each in enumerate((templates, others))
        for field in _detail(
            each, _room(f"detail {k}", each.shape), _room(f"weight {k}", each.shape)
        )
    ]
    for _ in range(_FINE_STEPS[0]):
        place = _step(*fine[:3], place)
    agreement = _agreement(*fine, place)
    near = np.flatnonzero(agreement > _FINE_LEAST)
    fine, place = [field[near] for field in fine], place[near]
    for _ in range(_FINE_STEPS[1]):
        place = _step(*fine[:3], place)
    agreement[:] = 0
    agreement[near] = _agreement(*fine, place)
    return agreement


class _Held(threading.local):
    """The memory of each thread, by name."""

    def __init__(self):
        self.of: dict[str, np.ndarray] = {}


_held = _Held()


def _room(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 of this shape, until this thread asks for the same name again."""
    size = math.prod(shape)
    if name not in _held.of or _held.of[name].size < size:
        _held.of[name] = np.empty(size, np.float32)
    return _held.of[name][:size].reshape(shape)


def _scaled(integers: np.ndarray, unit: float, name: str) -> np.ndarray:
    """float32, in the room of this name."""
    return np.multiply(integers, np.float32(unit), out=_room(name, integers.shape))


def _step(templates, weights, others, place) -> np.ndarray:
    """A better place [n, 4], by one Gauss-Newton step; without weights all are 1."""
    count, side, _ = templates.shape
    margin = max(1, round(_MARGIN * side))
    inner = slice(margin, side - margin)
    before = slice(margin - 1, side - margin - 1)
    behind = slice(margin + 1, side - margin + 1)
    weight, across, down, error, product = (
        _room(f"{name} of a step", (count, side - 2 * margin, side - 2 * margin))
        for name in ("weight", "across", "down", "error", "product")
    )
    moved, x, y = _move(others, place, margin)
    np.multiply(y[:, inner, None], x[:, None, inner], out=weight)
    if weights is not None:
        weight *= weights[:, inner, inner]
    # Slopes per side of the picture, in the frame of the other one.
    np.subtract(moved[:, inner, behind], moved[:, inner, before], out=across)
    across *= side / 2 / place[:, 0, None, None]
    np.subtract(moved[:, behind, inner], moved[:, before, inner], out=down)
    down *= side / 2 / place[:, 2, None, None]
    np.subtract(templates[:, inner, inner], moved[:, inner, inner], out=error)
    error *= weight
    np.multiply(across, down, out=product)
    product *= weight
    # The derivatives are x * across, across, y * down, down; their products separate.
    at = _positions(side)[inner]
    linear = np.stack([at, np.ones_like(at)], 1)
    square = at[:, None] ** np.array([[2, 1], [1, 0]], np.float32).ravel()
    normal = np.empty((count, 4, 4), np.float32)
    xx = np.einsum("nyx,nyx,nyx->nx", across, across, weight) @ square
    yy = np.einsum("nyx,nyx,nyx->ny", down, down, weight) @ square
    yx = linear.T @ product @ linear
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
    weight, _, _ = _move(other_weights, place, 0, "moved weight")
    moved, x, y = _move(others, place, round(_MARGIN * side))
    weight *= weights
    sums = _sums(templates, moved, weight, x, y)
    enough = sums[0].sum(1) >= _SHARED * x.sum(1) * y.sum(1)
    correlation = _correlation(sums)
    order = np.argsort(correlation, 1, kind="stable")
    below = np.cumsum(np.take_along_axis(sums[0], order, 1), 1)
    at = (below < quantile * below[:, -1:]).sum(1, keepdims=True)
    found = np.take_along_axis(np.take_along_axis(correlation, order, 1), at, 1)[:, 0]
    return np.where(enough, found, 0)


def _sums(a, b, weight, x, y) -> np.ndarray:
    """Sums of w, aw, bw, aaw, bbw, abw in tiles [6, n, tiles]: see `_tile_sums`."""
    product, other = (_room(f"{name} product", a.shape) for name in ("one", "other"))
    sums = np.empty((6, len(a), _TILES[a.shape[1]] ** 2), np.float32)
    sums[0] = _tile_sums(weight, x, y)
    sums[1] = _tile_sums(np.multiply(a, weight, out=product), x, y)
    sums[5] = _tile_sums(np.multiply(product, b, out=other), x, y)
    sums[3] = _tile_sums(np.multiply(product, a, out=product), x, y)
    sums[2] = _tile_sums(np.multiply(b, weight, out=product), x, y)
    sums[4] = _tile_sums(np.multiply(product, b, out=product), x, y)
    return sums


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Weighted correlations from sums of w, aw, bw, aaw, bbw, abw [6, ...]."""
    total, a, b, aa, bb, ab = sums
    total = np.maximum(total, 1e-6)
    aa, bb = aa / total - (a / total) ** 2, bb / total - (b / total) ** 2
    ab = ab / total - a * b / total**2
    return ab / np.sqrt(np.maximum(aa, 1e-3) * np.maximum(bb, 1e-3))


def _tile_sums(pictures: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[n, tiles] of [n, S, S]: of the columns and rows that x and y [n, S] are 1 at."""
    count, side, _ = pictures.shape
    tiles = _TILES[side]
    rows = np.repeat(np.eye(tiles, dtype=np.float32), side // tiles, 1)
    strips = np.matmul(
        rows * y[:, None], pictures, out=_room("strips", (count, tiles, side))
    )
    return (strips @ (rows * x[:, None]).transpose(0, 2, 1)).reshape(count, tiles**2)


def _move(pictures: np.ndarray, place: np.ndarray, margin: int, name: str = "moved"):
    """The pictures as they lie under the template, in the room of this name.

    Returns:
      (the pictures, x, y): both pictures are where both x and y, float32 [n, S], are 1.
    """
    side = pictures.shape[1]
    middle = (side - 1) / 2
    moved = _room(name, pictures.shape)
    rows = np.zeros((len(pictures), 2, 3))
    rows[:, 0, 0], rows[:, 1, 1] = place[:, 0], place[:, 2]
    rows[:, :, 2] = middle - place[:, 0::2] * middle + side * place[:, 1::2]
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    for picture, out, row in zip(pictures, moved, rows, strict=True):
        cv2.warpAffine(picture, row, (side, side), out, flags, border)
    at, limit = _positions(side), 0.5 - margin / side
    own = np.abs(at) <= limit
    x = np.abs(place[:, 0, None] * at + place[:, 1, None]) <= limit
    y = np.abs(place[:, 2, None] * at + place[:, 3, None]) <= limit
    return moved, (x & own).astype(np.float32), (y & own).astype(np.float32)


def _positions(side: int) -> np.ndarray:
    """Of the pixels, from the middle, in sides."""
    return ((np.arange(side) - (side - 1) / 2) / side).astype(np.float32)


def _detail(pictures, detail, weight) -> tuple[np.ndarray, np.ndarray]:
    """Detail in units of the local detail [n, S, S], and how much of it is there.

    What counts is the least detail in the neighbourhood: the outline of something on
    an empty ground, as of collimation, of a letter or of a CT slice, is no evidence.

    detail, weight: where to write them.
    """
    side = pictures.shape[1]
    sigma, border = _DETAIL * side, cv2.BORDER_REFLECT
    window = (2 * round(3 * sigma) + 1,) * 2
    around = np.ones((2 * round(_AROUND * sigma) + 1,) * 2, np.uint8)
    fine, power, local, floor = _room("detail", (4, side, side))
    for picture, out, share in zip(pictures, detail, weight, strict=True):
        cv2.GaussianBlur(picture, (0, 0), sigma, fine, borderType=border)
        np.subtract(picture, fine, out=fine)
        np.square(fine, out=power)
        cv2.blur(power, window, local, borderType=border)
        np.add(local, _FLOOR**2 * power.mean() + 1e-6, out=floor)
        np.divide(local, floor, out=local)
        cv2.erode(local, around, share, borderType=border)
        np.divide(fine, np.sqrt(floor, out=floor), out=out)
    return detail, weight


def _shrink(pictures: np.ndarray, side: int) -> np.ndarray:
    small = np.empty((len(pictures), side, side), np.float32)
    for picture, out in zip(pictures, small, strict=True):
        cv2.resize(picture, (side, side), out, interpolation=cv2.INTER_AREA)
    return small
