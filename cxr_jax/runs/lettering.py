"""Text on images, by OpenCV; see `pictures` for why."""

from __future__ import annotations

import cv2

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
