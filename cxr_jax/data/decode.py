"""Decodes stored PNG bytes into square arrays."""

from __future__ import annotations

import cv2
import numpy as np

from cxr_jax.data.split import Split

SQUARES = ("stretch", "pad")


def image(png: bytes, size: int, square: str) -> np.ndarray:
    """Decodes PNG bytes to [size, size, 1] of the stored type.

    Args:
      png: as stored, [H, W] of uint8 or uint16.
      size: side of the square.
      square: 'stretch' ignores the aspect ratio (as the published systems do, and it
        hides the detector's shape, which is a shortcut); 'pad' keeps it and adds black.
    """
    stored = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ValueError("is not a PNG")
    return fit(stored, size, square)


def fit(found: np.ndarray, size: int, square: str) -> np.ndarray:
    """Fits [H, W] to [size, size, 1] of the same type; see `image`."""
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


def mask(png: bytes, size: int, square: str) -> np.ndarray:
    """Like `image`, for a mask of 0 and 255: 255 where most of a pixel is lung."""
    return np.where(image(png, size, square) > 127, np.uint8(255), np.uint8(0))


_DECODE = {"image": image, "mask": mask}


def pictures(
    split: Split, indices: np.ndarray, size: int, square: str
) -> dict[str, np.ndarray]:
    """Returns {name: [B, size, size, 1]} of the stored type, from memory or decoded.

    Args:
      indices: int [B], positions within the split.
      size, square: see `image`; images in memory already have them.
    """
    if split.pixels is not None:
        return {name: column[indices] for name, column in split.pixels.items()}
    found = {}
    for place, row in enumerate(split.rows[indices]):
        stored = split.read(int(row))
        for name in split.pictures:
            decoded = _DECODE[name](stored[name], size, square)
            if name not in found:
                found[name] = np.empty((len(indices), *decoded.shape), decoded.dtype)
            np.copyto(found[name][place], decoded, casting="no")
    return found
