"""From a film of any shape to a square."""

from __future__ import annotations

import cv2
import numpy as np

# 'stretch' ignores the aspect ratio (as the published systems do, and it hides the
# detector's shape, which is a shortcut); 'pad' keeps it and adds black.
SQUARES = ("stretch", "pad")


def fit(found: np.ndarray, size: int, square: str) -> np.ndarray:
    """Fits [H, W] to [size, size, 1] of the same type; square: of SQUARES."""
    height, width = found.shape[:2]
    if square == "pad" and height != width:
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        found = cv2.copyMakeBorder(
            found,
            top,
            side - height - top,
            left,
            side - width - left,
            cv2.BORDER_CONSTANT,
            value=0,
        )
    if found.shape[:2] != (size, size):
        shrinks = found.shape[0] >= size and found.shape[1] >= size
        found = cv2.resize(
            found,
            (size, size),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
    return found.reshape(size, size, 1)
