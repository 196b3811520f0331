"""A film with what the model makes of it: heat map, zones, scores, in one picture.

The film is 768 pixels on its longer side, whatever it was, so that the lettering has
the same size and can be read on every one of them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cxr_jax.predict.recipe import BRIXIA, Recipe
from cxr_jax.predict.record import REFUSED, WARNED
from cxr_jax.runs import lettering
from tfds_builders.common.images import resize_longest

RESEARCH = "For research only. Not a medical device."
_WIDTH = 480  # of a picture at least: a narrower film gets black beside it
_LINE, _EDGE = 30, 14  # pixels
_BLACK, _WHITE, _PALE = (0, 0, 0), (240, 240, 240), (165, 172, 180)
_AMBER, _RED = (255, 196, 77), (255, 138, 128)
_MOST_HEAT = 0.5  # opacity of the hottest place
_ROWS, _COLUMNS = 3, 2
# White letters with a black rim, which no grey of a film swallows.
_HALO = (
    *((dx, dy, _BLACK) for dx in (-2, 2) for dy in (-2, 2)),
    (0, 0, _WHITE),
)


def draw(
    recipe: Recipe, record: dict[str, Any], shown: np.ndarray, heatmap: Any
) -> np.ndarray:
    """The picture: uint8 [H, W, 3], RGB.

    Args:
      recipe: of the model.
      record: of the film.
      shown: uint8 [h, w] of `reading.Read`.
      heatmap: float32 of the square that the model saw, or None.
    """
    film = cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB)
    box = _seen(shown.shape, recipe.preprocess.square)
    if heatmap is not None:
        film = _heated(film, heatmap, box)
    lines = _lines(recipe, record)
    height, width = film.shape[:2]
    wide = max(width, _WIDTH)
    picture = np.zeros((height + _LINE * len(lines) + _EDGE, wide, 3), np.uint8)
    left = (wide - width) // 2
    picture[:height, left : left + width] = film
    if recipe.task == BRIXIA and record["confidence"] != "":
        _draw_zones(picture, recipe, record, box, left, (height, width))
    for number, (text, colour) in enumerate(lines):
        y = height + _LINE * (number + 1) - 6
        size = 0.7 if number == 1 else 0.5
        room = wide - 2 * _EDGE
        lettering.write(picture, _ascii(text), _EDGE, y, room, colour, size)
    return picture


def _seen(shape: tuple[int, ...], square: str) -> tuple[float, float, float, float]:
    """(top, left, height, width) in pixels of the film that the model's square is."""
    height, width = shape[:2]
    if square != "pad":
        return 0.0, 0.0, float(height), float(width)
    side = max(height, width)
    return (height - side) / 2, (width - side) / 2, float(side), float(side)


def _heated(film: np.ndarray, heatmap: np.ndarray, box) -> np.ndarray:
    """The film under the map, whose greatest value is the most opaque."""
    top, left, height, width = (round(value) for value in box)
    highest = float(heatmap.max())
    if highest <= 0:
        return film
    heat = cv2.resize(heatmap / highest, (width, height), interpolation=cv2.INTER_CUBIC)
    own = heat[max(-top, 0) :, max(-left, 0) :][: film.shape[0], : film.shape[1]]
    own = np.clip(own, 0, 1)
    levels = np.rint(255 * own).astype(np.uint8)
    colour = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
    share = _MOST_HEAT * own[..., None]
    return np.rint(film * (1 - share) + colour * share).astype(np.uint8)


def _draw_zones(picture, recipe: Recipe, record, box, left: int, shape) -> None:
    top, beside, height, width = box
    rows = [top + height * row / _ROWS for row in range(_ROWS + 1)]
    columns = [left + beside + width * c / _COLUMNS for c in range(_COLUMNS + 1)]
    film_height, film_width = shape
    right, bottom = left + film_width - 1, film_height - 1
    for y in rows[1:-1]:
        if 0 < y < bottom:
            _dotted(picture, (left, round(y)), (right, round(y)))
    _dotted(picture, (round(columns[1]), 0), (round(columns[1]), bottom))
    for place, zone in enumerate(recipe.questions):
        column, row = divmod(place, _ROWS)
        y = np.clip((rows[row] + rows[row + 1]) / 2, 0, bottom)
        x = np.clip((columns[column] + columns[column + 1]) / 2, left, right)
        text = f"{zone} {float(record[f'expected_{zone}']):.1f}"
        size = 1.0
        x = round(x - lettering.width(text, size, 2) / 2)
        for across, down, colour in _HALO:
            spot = x + across, round(y) + 12 + down
            lettering.write(picture, text, *spot, 1000, colour, size, 2)


def _dotted(picture, start, end) -> None:
    """A fine line that hides little of the film."""
    (x0, y0), (x1, y1) = start, end
    for step in range(0, max(x1 - x0, y1 - y0), 8):
        x, y = (x0 + step, y0) if x1 > x0 else (x0, y0 + step)
        to = (min(x + 2, x1), y) if x1 > x0 else (x, min(y + 2, y1))
        cv2.line(picture, (x, y), to, _PALE, 1)


def _lines(recipe: Recipe, record) -> list[tuple[str, tuple[int, int, int]]]:
    """(text, colour) below the film."""
    lines = [(record["example_id"], _PALE)]
    if record["confidence"] == "":
        lines.append(("not scored: refused by the gate", _RED))
    elif recipe.task == BRIXIA:
        lines.append((_global(record), _WHITE))
    else:
        lines.append((f"called {record['called']}", _WHITE))
        for name in recipe.classes:
            lines.append((f"{name}  {float(record[f'prob_{name}']):.3f}", _WHITE))
    if record["gate"] in (REFUSED, WARNED):
        lines.append((f"gate: {record['gate_reasons'].replace(';', ', ')}", _AMBER))
    return [*lines, (RESEARCH, _PALE)]


def _global(record) -> str:
    text = f"global score {float(record['global']):.1f} of 18"
    if record["global_low"] == "":
        return text
    low, high = float(record["global_low"]), float(record["global_high"])
    return f"{text}  (90 %: {low:.1f} to {high:.1f})"


def _ascii(text: str) -> str:
    """What OpenCV's letters can write."""
    return text.encode("ascii", "replace").decode()


def thumbnail(shown: np.ndarray, side: int = 160) -> np.ndarray:
    """uint8 [h, w] of a film, its longer side `side`."""
    return resize_longest(shown, side)
