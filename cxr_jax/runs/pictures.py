"""Images that a person looks at while a run goes: uint8, white paper, RGB.

OpenCV draws them, as it does the contact sheets of an audit: a millisecond each. The
figures of a report are matplotlib's, which takes a second to import and a fifth of one
for each figure: too long for every evaluation of a short run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_jax.runs import lettering

_PAPER, _INK, _GREY = (255, 255, 255), (27, 31, 36), (104, 116, 128)
# One hue, from nearly white to dark, by the share of a row.
_SHARES = (0.0, 0.5, 1.0)
_SHADES = ((247, 251, 255), (107, 174, 214), (8, 48, 107))
_DARK = (
    0.675  # a share from which white has more contrast (WCAG 2.2) than ink: 4 and more
)
_SIDE = 400  # of a confusion matrix with its names
_LEAST = 6  # pixels of a cell
_LETTERED = 40  # classes up to which there is room for names and counts
_NAMES = 92  # the most that names of classes may take
_GAP, _LINE = 6, 24


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
    are the truth; a column those that the model called one, in the same order. The
    shade is the share of the row, the number the count.

    Args:
      matrix: [K][K] counts, as `Task.confusion` gives them in 'target_by_called'.
      classes: [K] names, shortened where there is no room; 8 are legible.

    Returns:
      uint8 [H, W, 3].
    """
    counts = np.asarray(matrix, np.int64)
    names = [str(name) for name in classes]
    widest = min(max(map(lettering.width, names)), _NAMES)
    left, top = widest + 2 * _GAP, _LINE + 2 * _GAP
    # Of many classes the picture grows: a cell keeps its edge and a shade to see.
    cell = max((_SIDE - left) // len(names), _LEAST)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = [
        np.interp(shares, _SHARES, levels) for levels in zip(*_SHADES, strict=True)
    ]
    tiles = np.rint(np.stack(shades, axis=-1)).astype(np.uint8)
    tiles = tiles.repeat(cell, axis=0).repeat(cell, axis=1)
    tiles[cell - 1 :: cell], tiles[:, cell - 1 :: cell] = _PAPER, _PAPER
    sheet = np.full((top + len(tiles), left + len(tiles), 3), _PAPER, np.uint8)
    sheet[top:, left:] = tiles
    # A number is never shortened, it would read as another one; so it may be small.
    size = min(0.6, 0.6 * (cell - 4) / lettering.width(str(counts.max()), 0.6))
    is_lettered = len(names) <= _LETTERED
    lettering.write(sheet, "read / called", _GAP, 14, _SIDE, _GREY)
    for row, name in enumerate(names if is_lettered else ()):
        y = top + row * cell + cell // 2 + 5
        lettering.write(sheet, name, _GAP, y, widest, _INK)
        x = left + row * cell
        lettering.write(sheet, name, x, top - _GAP, cell - _GAP, _INK)
        for column, (count, share) in enumerate(
            zip(counts[row].tolist(), shares[row], strict=True)
        ):
            middle = left + column * cell + cell // 2
            x = middle - lettering.width(str(count), size) // 2
            colour = _PAPER if share > _DARK else _INK
            lettering.write(sheet, str(count), x, y, cell, colour, size)
    return sheet
