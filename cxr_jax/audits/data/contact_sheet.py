"""Contact sheets of copies: two pictures side by side, to be judged by eye."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from cxr_jax.audits.data.collection import KINDS
from cxr_jax.data.copies import Link
from cxr_jax.data.fingerprints import as_8bit
from cxr_jax.runs import lettering
from tfds_builders.common import files

PER_SHEET, MOST_SHEETS = 40, 5
_LEAKING = KINDS[:2]
_COLUMNS = 4
_SIDE = 128  # of a thumbnail
_BETWEEN = 4  # the two of a pair
_PAIR = 2 * _SIDE + _BETWEEN
_MARGIN, _GUTTER = 32, 28
_HEAD, _CAPTION, _LINE = 92, 20, 15
_CELL = _CAPTION + _SIDE + 2 * _LINE + 30
_LARGE = 0.75  # of type
# BGR: ink on paper, a mat for the pictures, and red for what must not be.
_PAPER, _MAT = (255, 255, 255), (234, 238, 240)
_INK, _GREY, _RED = (36, 31, 27), (128, 116, 104), (40, 40, 190)


class Pair(NamedTuple):
    """Two images that are copies, and what is written beside them.

    Attributes:
      link: how alike they are.
      kind: one of KINDS.
      pixels: of both, [H, W] each.
      names: of both, (dataset and split, example_id).
    """

    link: Link
    kind: str
    pixels: tuple[np.ndarray, np.ndarray]
    names: tuple[tuple[str, str], tuple[str, str]]


def draw(pairs: Sequence[Pair], title: str, note: str) -> np.ndarray:
    """One sheet: uint8 [H, W, 3], BGR."""
    rows = -(-len(pairs) // _COLUMNS)
    width = 2 * _MARGIN + _COLUMNS * (_PAIR + _GUTTER) - _GUTTER
    sheet = np.full((_HEAD + rows * _CELL + 8, width, 3), _PAPER, np.uint8)
    room = width - 2 * _MARGIN
    lettering.write(sheet, title, _MARGIN, 44, room, _INK, _LARGE, 2)
    lettering.write(sheet, note, _MARGIN, 66, room, _GREY)
    for k, pair in enumerate(pairs):
        row, column = divmod(k, _COLUMNS)
        left, top = _MARGIN + column * (_PAIR + _GUTTER), _HEAD + row * _CELL
        _draw_pair(sheet[top : top + _CELL], pair, left)
    return sheet


def write(folder: pathlib.Path, sheets: Sequence[np.ndarray]) -> list[pathlib.Path]:
    """copies-1.png and so on; those of an earlier audit are removed.

    Raises:
      InputError: the folder cannot be written.
    """
    paths = [folder / f"copies-{k}.png" for k in range(1, len(sheets) + 1)]
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, sheet in zip(paths, sheets, strict=True):
            files.write_bytes(path, cv2.imencode(".png", sheet)[1].tobytes())
        for path in sorted(folder.glob("copies-*.png")):
            if path not in paths:
                path.unlink()
    return paths


def caption(link: Link, kind: str) -> str:
    """'near-duplicate 0.934, mirrored, across splits'."""
    alike = "identical" if link.identical else f"near-duplicate {link.correlation:.3f}"
    return ", ".join([alike, *(["mirrored"] if link.mirrored else []), kind])


def _draw_pair(cell: np.ndarray, pair: Pair, left: int) -> None:
    colour = _RED if pair.kind in _LEAKING else _INK
    lettering.write(cell, caption(pair.link, pair.kind), left, 11, _PAIR, colour)
    for k in range(2):
        x = left + k * (_SIDE + _BETWEEN)
        cell[_CAPTION : _CAPTION + _SIDE, x : x + _SIDE] = _mounted(pair.pixels[k])
        where, name = pair.names[k]
        y = _CAPTION + _SIDE + _LINE
        lettering.write(cell, name, x, y, _SIDE - 4, _INK)
        lettering.write(cell, where, x, y + _LINE, _SIDE - 4, _GREY)


def _mounted(pixels: np.ndarray) -> np.ndarray:
    """The whole picture, its aspect kept, on a mat [_SIDE, _SIDE, 3]."""
    height, width = pixels.shape
    scale = _SIDE / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = as_8bit(cv2.resize(pixels, shape, interpolation=way))
    mat = np.full((_SIDE, _SIDE, 3), _MAT, np.uint8)
    top, left = (_SIDE - shape[1]) // 2, (_SIDE - shape[0]) // 2
    mat[top : top + shape[1], left : left + shape[0]] = small[..., None]
    return mat
