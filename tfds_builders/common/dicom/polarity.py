"""Whether the pixels of a chest film contradict the polarity in its header.

Two measures are added. Both use only the order of grey values, so that windows do not
matter, and both change sign when the image is inverted:

- How much better the film fits a chest (bright spine and abdomen, dark lungs, dark
  beside the neck) than the negative of a chest: the best of the rank correlations
  with a drawn template, over windows of the film and all four quarter turns, against
  the worst of them.
- How much darker the border of the film is than its middle. It has the smaller
  weight: patients fill the border of bedside films.

Shutters and white frames, which may be black or white, are cropped first.
"""

import itertools

import cv2
import numpy as np

_LEAST = 32  # pixels; smaller images show no chest
_FLAT = 0.02  # of the range: a line of this contrast is a frame's
_GRID, _WINDOW = 64, 24  # pixels of the film and of a window of it
_BORDER_WEIGHT = 0.2
_CLEAR = 0.1  # see docs/dicom.md for how often this errs


def contradicts(film: np.ndarray) -> bool:
    """Whether a chest film [H, W] is clearly a negative: dense structures dark."""
    return evidence(film) < -_CLEAR


def evidence(film: np.ndarray) -> float:
    """How clearly dense structures are bright in a chest film [H, W].

    A few hundred pixels on each side are enough. About -0.5 to 0.5; that of the
    negative is its opposite. 0 where the film is flat or too small.
    """
    if min(film.shape) < _LEAST:
        return 0.0
    film = _without_frame(np.float32(film))
    film = cv2.resize(film, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    fit = _windows(film) @ _TEMPLATES.T
    return float(fit.max() + fit.min() + _BORDER_WEIGHT * _dark_border(film))


def _without_frame(film: np.ndarray) -> np.ndarray:
    """The film without the flat lines along its sides."""
    contrast = _FLAT * np.ptp(film)
    for _ in range(2):  # columns are flat once the rows of the frame are gone
        for axis in (1, 0):
            rough = np.flatnonzero(np.ptp(film, axis) > contrast)
            if len(rough):
                inside = slice(rough[0], rough[-1] + 1)
                film = film[inside] if axis else film[:, inside]
    return film


def _windows(film: np.ndarray) -> np.ndarray:
    """Ranks of the pixels in windows of the film [windows, pixels], standardised."""
    parts = [
        cv2.resize(
            film[top : top + height, left : left + width],
            (_WINDOW, _WINDOW),
            interpolation=cv2.INTER_AREA,
        )
        for height, width in itertools.product(_SIDES, _SIDES)
        for top in sorted({0, (_GRID - height) // 2, _GRID - height})
        for left in sorted({0, (_GRID - width) // 2, _GRID - width})
    ]
    return _standardised(_ranks(np.reshape(parts, (len(parts), -1))))


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Of the values in each row, from 1 on; equal ones share the mean of theirs.

    As scipy.stats.rankdata, which readers of single films need not have.
    """
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    place = np.arange(rows.shape[1])
    begins = np.ones(rows.shape, bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.roll(begins, -1, axis=1)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    last = np.where(ends, place, len(place))[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    found = np.empty(rows.shape)
    np.put_along_axis(found, order, (first + last) / 2 + 1, axis=1)
    return found


def _standardised(rows: np.ndarray) -> np.ndarray:
    """Mean 0 and norm 1 of each row; 0 where it is flat."""
    rows = rows - rows.mean(1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1)


def _dark_border(film: np.ndarray) -> float:
    """P(border darker than middle) - P(border brighter), of two random pixels."""
    film = cv2.resize(film, (_GRID // 2, _GRID // 2), interpolation=cv2.INTER_AREA)
    away = np.abs(np.linspace(-1, 1, len(film)))
    away = np.maximum(away[:, None], away)
    border, middle = film[away > 0.9], np.sort(film[away < 0.7])
    darker = len(middle) - np.searchsorted(middle, border, "right")
    brighter = np.searchsorted(middle, border, "left")
    return float((darker - brighter).mean() / len(middle))


def _draw_templates() -> np.ndarray:
    """A chest in the four quarter turns [4, pixels], standardised."""
    across = (np.arange(_WINDOW) + 0.5) / _WINDOW * 2 - 1
    down = across[:, None]
    side = np.abs(across)
    spine = np.exp(-((across / 0.16) ** 2))
    lungs = np.exp(-(((side - 0.45) / 0.22) ** 2) - ((down + 0.05) / 0.55) ** 2)
    abdomen = 1.2 * np.exp(-((across / 0.8) ** 2)) / (1 + np.exp(-(down - 0.6) * 12))
    air = 1.2 * np.exp(-(((side - 1) / 0.25) ** 2) - ((down + 1) / 0.4) ** 2)
    chest = spine - lungs + abdomen - air
    return _standardised(np.stack([np.rot90(chest, k).ravel() for k in range(4)]))


_SIDES = tuple(round(part * _GRID) for part in (0.6, 0.8, 1))
_TEMPLATES = _draw_templates()
