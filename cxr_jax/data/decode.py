"""Decodes stored PNG bytes into square arrays."""

from __future__ import annotations

import cv2
import numpy as np

from cxr_jax.data.fitting import fit
from cxr_jax.data.split import Split


def image(png: bytes, size: int, square: str) -> np.ndarray:
    """Decodes PNG bytes to [size, size, 1] of the stored type.

    Args:
      png: as stored, [H, W] of uint8 or uint16.
      size: side of the square.
      square: of `fitting.SQUARES`.
    """
    stored = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ValueError("is not a PNG")
    return fit(stored, size, square)


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
