"""From density to film: exposure, grain, display curve, marker and shutters."""

from functools import lru_cache

import cv2
import numpy as np


def expose(dense: np.ndarray, rng: np.random.Generator, scale: float) -> np.ndarray:
    """The film [H, W], 0-1, of a density [H, W].

    scale: pixels of the longest side / 512.
    """
    picture = _develop(dense, rng)
    _stamp(picture, rng, scale)
    _collimate(picture, rng)
    return picture


def _develop(dense: np.ndarray, rng) -> np.ndarray:
    """Tube, detector and display curve: density to brightness, with noise."""
    level = 0.72 + rng.normal(0.0, 0.05)
    contrast = rng.normal(4.0, 0.4)
    strength = rng.uniform(0.006, 0.022)
    dense = cv2.scaleAdd(_grain(rng, dense.shape), strength, dense)
    dense -= level
    dense *= -contrast
    curve = cv2.exp(dense)
    curve += 1
    np.reciprocal(curve, out=curve)
    dark = 1 / (1 + np.exp(contrast * level))
    curve -= dark
    curve *= 0.98 / (1 - dark)
    return np.clip(curve, 0, 1, out=curve)


@lru_cache(maxsize=2)
def _white(size: int) -> np.ndarray:
    """A fixed sheet of noise; drawing a new one for every image takes too long."""
    rng = np.random.default_rng(size)
    sheet = rng.standard_normal((size, size), dtype=np.float32)
    sheet = cv2.GaussianBlur(sheet, (0, 0), 0.6)
    return sheet / sheet.std()


def _grain(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Film grain [H, W] of unit variance, a random piece of one fixed sheet.

    The piece is a view: do not write to it.
    """
    sheet = _white(512 * -(-(max(shape) + 256) // 512))
    top, left = (int(rng.integers(len(sheet) - n + 1)) for n in shape)
    return sheet[top : top + shape[0], left : left + shape[1]]


# Strokes of the lead letters in a box of 1 x 1.5 (OpenCV's fonts differ by version).
_LETTERS = {
    "L": [[(0, 0), (0, 1.5), (0.85, 1.5)]],
    "R": [
        [(0, 1.5), (0, 0), (0.6, 0), (0.9, 0.2), (0.9, 0.55), (0.6, 0.75), (0, 0.75)],
        [(0.5, 0.75), (0.95, 1.5)],
    ],
}


def _stamp(picture: np.ndarray, rng, scale: float) -> None:
    """Sometimes a lead letter for the side, as anatomy asks, and a text block."""
    kind, jitter, tall = rng.random(), rng.random(3), rng.uniform(9, 17)
    if kind > 0.6:
        return
    letter = "L" if kind < 0.35 else "R"
    across = (0.88 if letter == "L" else 0.04) + 0.06 * jitter[0]
    at = np.array([across, 0.06 + 0.12 * jitter[1]]) * picture.shape[::-1]
    pen = max(round(tall * scale / 5), 1)
    for stroke in _LETTERS[letter]:
        points = np.rint(at + np.array(stroke) * tall * scale).astype(np.int32)
        cv2.polylines(picture, [points], False, 0.97, pen)
    if jitter[2] < 0.4:  # the name of the room, too small to read
        for line in (0, 1):
            start = np.rint(at + np.array([0, 2.2 + 0.6 * line]) * tall * scale)
            end = start + np.rint([(1.6 - 0.5 * line) * tall * scale, 0])
            first, last = (tuple(map(int, point)) for point in (start, end))
            cv2.line(picture, first, last, 0.8, max(int(2 * scale), 1))


def _collimate(picture: np.ndarray, rng) -> None:
    """Sometimes dark shutters along one or more sides, a little askew."""
    present = rng.random(4) < 0.22
    depth = rng.uniform(0.005, 0.05, (4, 2))
    height, width = picture.shape
    near, far = depth.T
    sides = (
        [(0, 0), (width, 0), (width, far[0] * height), (0, near[0] * height)],
        [(0, height), (width, height)]
        + [(width, (1 - far[1]) * height), (0, (1 - near[1]) * height)],
        [(0, 0), (0, height), (far[2] * width, height), (near[2] * width, 0)],
        [(width, 0), (width, height)]
        + [((1 - far[3]) * width, height), ((1 - near[3]) * width, 0)],
    )
    for wanted, corners in zip(present, sides, strict=True):
        if wanted:
            cv2.fillPoly(picture, [np.rint(corners).astype(np.int32)], 0.01)
