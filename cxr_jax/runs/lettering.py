"""Text on pictures, by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
SMALL = 0.4  # of type


def write(picture, text, x, y, room, colour, size=SMALL, weight=1) -> None:
    """One line of text from (x, y), its middle left out where there is no room.

    Args:
      picture: uint8 [H, W, 3], written on.
      text: what to write.
      x, y: of the left end of the base line, in pixels.
      room: width in pixels that must not be exceeded.
      colour: three numbers, in the order of the picture's channels.
      size, weight: of type; see `width`.
    """
    shown = shortened(text, room, size, weight)
    cv2.putText(picture, shown, (x, y), _FONT, size, colour, weight, cv2.LINE_AA)


def shortened(text: str, room: int, size: float = SMALL, weight: int = 1) -> str:
    """The text, or both its ends about '...' where it is wider than `room` pixels."""
    shown, kept = text, len(text)
    while kept > 2 and width(shown, size, weight) > room:
        kept -= 1
        shown = text[: -(-kept // 2)] + "..." + text[len(text) - kept // 2 :]
    return shown


def width(text: str, size: float = SMALL, weight: int = 1) -> int:
    """Of the text in pixels; at size 1 capitals are about 25 pixels high."""
    return cv2.getTextSize(text, _FONT, size, weight)[0][0]


def height(size: float = SMALL, weight: int = 1) -> int:
    """Of capitals and digits, in pixels."""
    return cv2.getTextSize("H0", _FONT, size, weight)[0][1]


def upright(text, room, colour, ground, size=SMALL, weight=1) -> np.ndarray:
    """A strip of colour `ground`, at most `room` high, whose text runs upwards."""
    shown = shortened(text, room, size, weight)
    line, below = height(size, weight), round(10 * size)  # of p, q, y
    shape = (line + below + 2, width(shown, size, weight), 3)
    strip = np.full(shape, ground, np.uint8)
    write(strip, shown, 0, line + 1, room, colour, size, weight)
    return np.rot90(strip)
