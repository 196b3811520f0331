"""A fingerprint of an image that does not depend on its size and intensity."""

import hashlib

import cv2
import numpy as np

SIDE = 96
_GRAIN = 0.7  # standard deviation of the blur, pixels of the fingerprint
_SURROUNDINGS = 8.0  # what brightness and contrast are relative to, in the same way
_FLOOR = 0.3  # contrast, relative to the picture's, below which nothing is amplified
_SOFT = 2.0  # times the local contrast: where values begin to saturate


def fingerprint(pixels: np.ndarray) -> np.ndarray:
    """int8 [9216]: the picture as a 96 x 96 map of local contrast, row by row.

    Every pixel is compared with its surroundings, in units of the contrast there
    (divisive normalisation), so that size, aspect, bit depth, window, gain and offset
    leave no trace, and gamma little. Strong contrast is compressed: a label or an arrow
    weighs no more than a rib. A picture of one value gives zeros.

    Args:
      pixels: [H, W] of any size, uint8 or uint16.
    """
    small = _blur(_resize(pixels.astype(np.float32)), _GRAIN)
    detail = small - _blur(small, _SURROUNDINGS)
    contrast = np.abs(detail)
    mean = float(contrast.mean())
    # What float32 makes of a picture of one value is below this.
    if mean <= 1e-5 * float(np.abs(small).max()):
        return np.zeros(SIDE * SIDE, np.int8)
    unit = np.hypot(_blur(contrast, _SURROUNDINGS), _FLOOR * mean)
    return np.rint(127 * np.tanh(detail / (_SOFT * unit))).astype(np.int8).ravel()


def pixel_hash(pixels: np.ndarray) -> str:
    """SHA-256 of shape, type and values: equal for the same pixels in other files."""
    head = f"{pixels.dtype.str} {pixels.shape} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _resize(pixels: np.ndarray) -> np.ndarray:
    """[SIDE, SIDE]; a side is averaged where it is longer, interpolated if shorter."""
    height, width = pixels.shape
    inner = min(width, SIDE), min(height, SIDE)
    small = cv2.resize(pixels, inner, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
