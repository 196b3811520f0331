"""Decodes stored PNG bytes into square arrays."""

from __future__ import annotations

import struct

import numpy as np

from cxr_jax.data.fitting import fit
from cxr_jax.data.split import Split
from tfds_builders.common import opencv

try:  # the extra `reading`: the same pixels in a third of the time
    from kornia_rs import io as kornia  # pyright: ignore
except ImportError:
    kornia = None

_HEADER = struct.Struct(">II5B")  # columns, rows, bits, colour, three methods


def stored(png: bytes) -> np.ndarray | None:
    """The pixels of a PNG as they are stored, [H, W] where it is grey.

    None where it is damaged or no PNG.
    """
    pixels = None if kornia is None else _grey(kornia, png)
    if pixels is None:
        pixels = opencv.imdecode(png)
    return pixels


def _grey(decoder, png: bytes) -> np.ndarray | None:
    """Grey of 8 bits, by kornia-rs; None of anything else.

    16 bits take it as long as OpenCV.
    """
    if len(png) < 16 + _HEADER.size:
        return None
    columns, rows, bits, colour, _, _, interlaced = _HEADER.unpack_from(png, 16)
    if (bits, colour, interlaced) != (8, 0, 0):
        return None
    try:
        pixels = decoder.decode_image_png_u8(png, (rows, columns), "mono")
    except Exception:  # noqa: BLE001  # it has no other type; OpenCV tries again
        return None
    return pixels.reshape(rows, columns)


def image(png: bytes, size: int, square: str) -> np.ndarray:
    """Decodes PNG bytes to [size, size, 1] of the stored type.

    Args:
      png: as stored, [H, W] of uint8 or uint16.
      size: side of the square.
      square: of `fitting.SQUARES`.
    """
    found = stored(png)
    if found is None:
        raise ValueError("is not a PNG")
    return fit(found, size, square)


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
        held = split.read(int(row))
        for name in split.pictures:
            decoded = _DECODE[name](held[name], size, square)
            if name not in found:
                found[name] = np.empty((len(indices), *decoded.shape), decoded.dtype)
            np.copyto(found[name][place], decoded, casting="no")
    return found
