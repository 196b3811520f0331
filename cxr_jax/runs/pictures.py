"""Pictures that a person looks at while a run goes: uint8, white paper, RGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_jax.runs import lettering

_PAPER, _INK, _GREY = (255, 255, 255), (27, 31, 36), (104, 116, 128)
# One hue, from nearly white to dark, by the share of a row.
_SHARES = (0.0, 0.5, 1.0)
_SHADES = ((247, 251, 255), (107, 174, 214), (8, 48, 107))
_SIDE = 400  # of a confusion matrix with its names
_LINE = 24  # of the names of the axes
_NAMES = 92  # the most that names of classes may take
_GAP = 6
_TYPES = (0.6, 0.5, 0.4, 0.35)  # of the counts


def grid(images: np.ndarray, columns: int = 8, most: int = 32) -> np.ndarray:
    """Pictures side by side, row by row; what is left over of the last row is white.

    Each is stretched from its own least to its own greatest value, all channels alike,
    so that grids show what is in the pictures but not their brightness and contrast.

    Args:
      images: float [B, H, W, C] with 1 or 3 channels, as the model sees them.
      columns, most: pictures in a row, and in all.

    Returns:
      uint8 [rows * H, columns * W], or with 3 channels at its end. There are no more
      columns than pictures.
    """
    images = np.asarray(images[:most], np.float32)
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    low = images.min(axis=(1, 2, 3), keepdims=True)
    range_ = images.max(axis=(1, 2, 3), keepdims=True) - low
    scaled = (images - low) / np.where(range_ > 0, range_, 1) * 255
    sheet = np.full((rows * columns, height, width, channels), 255, np.uint8)
    sheet[:count] = np.rint(scaled)
    sheet = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    return sheet[..., 0] if channels == 1 else sheet


def confusion(
    matrix: Sequence[Sequence[int]] | np.ndarray, classes: Sequence[object]
) -> np.ndarray:
    """How often each class was called what, about 400 pixels square.

    A row holds the images that were read as one class, by the people whose readings
    are the truth; a column those that the model called one. The shade is the share of
    the row, the number the count.

    Args:
      matrix: [K][K] counts, as `Task.confusion` gives them in 'target_by_called'.
      classes: [K] names, shortened where there is no room; 8 are legible.

    Returns:
      uint8 [H, W, 3].
    """
    counts = np.asarray(matrix, np.int64)
    names = [str(name) for name in classes]
    widest = min(max(map(lettering.width, names)), _NAMES)
    left = _LINE + widest + _GAP
    cell = (_SIDE - left - _GAP) // len(names)
    turned = widest > cell - _GAP
    below = (widest if turned else lettering.height()) + 2 * _GAP
    size = cell * len(names)
    sheet = np.full((_GAP + size + below + _LINE, left + size + _GAP, 3), _PAPER)
    sheet = sheet.astype(np.uint8)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    longest = str(counts.max())
    type_ = next((s for s in _TYPES if lettering.width(longest, s) < cell - 4), 0.35)
    for row, name in enumerate(names):
        top = _GAP + row * cell
        for column in range(len(names)):
            part = sheet[top : top + cell, left + column * cell :][:, :cell]
            _cell(part, str(counts[row, column]), shares[row, column], type_)
        shown = lettering.shortened(name, widest)
        x = left - _GAP - lettering.width(shown)
        y = top + (cell + lettering.height()) // 2
        lettering.write(sheet, shown, x, y, widest, _INK)
    for column, name in enumerate(names):
        x, y = left + column * cell + cell // 2, _GAP + size + _GAP
        if turned:
            strip = lettering.upright(name, widest, _INK, _PAPER)
            _paste(sheet, strip, y, x - strip.shape[1] // 2)
        else:
            _centred(sheet, name, x, y + lettering.height(), cell, _INK)
    _centred(sheet, "called", left + size // 2, sheet.shape[0] - 7, size, _GREY, 0.5)
    strip = lettering.upright("read", size, _GREY, _PAPER, 0.5)
    _paste(sheet, strip, _GAP + (size - strip.shape[0]) // 2, 2)
    return sheet


def _cell(part: np.ndarray, count: str, share: float, size: float) -> None:
    """One count on its shade, with a white edge towards its neighbours."""
    shade = [np.interp(share, _SHARES, levels) for levels in zip(*_SHADES, strict=True)]
    part[:-1, :-1] = np.rint(shade)
    middle, y = len(part) // 2, (len(part) + lettering.height(size)) // 2
    # A number is never shortened: it would read as another one.
    room = lettering.width(count, size)
    _centred(part, count, middle, y, room, _readable(shade), size)


def _readable(shade: Sequence[float]) -> tuple[int, int, int]:
    """Ink or paper, whichever has more contrast on the shade (WCAG 2.2)."""
    contrasts = {
        colour: abs(np.log((_luminance(colour) + 0.05) / (_luminance(shade) + 0.05)))
        for colour in (_INK, _PAPER)
    }
    return max(contrasts, key=contrasts.get)


def _luminance(colour: Sequence[float]) -> float:
    """Relative, 0 to 1, of sRGB (WCAG 2.2)."""
    part = np.asarray(colour) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _centred(picture, text, x, y, room, colour, size=lettering.SMALL) -> None:
    shown = lettering.shortened(text, room, size)
    left = x - lettering.width(shown, size) // 2
    lettering.write(picture, shown, left, y, room, colour, size)


def _paste(picture: np.ndarray, strip: np.ndarray, top: int, left: int) -> None:
    picture[top : top + strip.shape[0], left : left + strip.shape[1]] = strip
