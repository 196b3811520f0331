import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from tfds_builders.common.duplicates.fingerprints import SIDE, fingerprint, pixel_hash


def picture(seed, shape=(240, 200), low=20, high=110):
    """A random picture with detail of many sizes, the largest 7 times."""
    rng = np.random.default_rng(seed)
    total = np.zeros(shape, np.float32)
    for cells in (7, 15, 31):
        noise = rng.normal(size=(cells, cells)).astype(np.float32)
        total += cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(total, None, low, high, cv2.NORM_MINMAX, cv2.CV_8U)


def test_local_contrast_as_scipy_filters_it():
    pixels = picture(0, (SIDE, SIDE)).astype(np.float64)

    def blur(values, sigma):
        return gaussian_filter(values, sigma, mode="reflect", truncate=4)

    smooth = blur(pixels, 0.7)
    detail = smooth - blur(smooth, 8)
    contrast = np.abs(detail)
    unit = np.sqrt(blur(contrast, 8) ** 2 + (0.3 * contrast.mean()) ** 2)
    expected = np.rint(127 * np.tanh(detail / (2 * unit)))
    found = fingerprint(pixels.astype(np.uint8))
    assert found.shape == (SIDE * SIDE,)
    assert found.dtype == np.int8
    np.testing.assert_allclose(found.reshape(SIDE, SIDE), expected, atol=1)
    assert np.abs(expected).max() > 80


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([1, 2, 257, 500]),
    st.integers(0, 10_000),
)
def test_gain_offset_and_bit_depth_leave_no_trace(seed, gain, offset):
    pixels = picture(seed)
    deep = (pixels.astype(np.uint32) * gain + offset).astype(np.uint16)
    np.testing.assert_allclose(
        fingerprint(deep).astype(int), fingerprint(pixels).astype(int), atol=1
    )


@pytest.mark.parametrize("size", [(100, 128), (299, 299), (512, 420), (2000, 1500)])
def test_size_and_aspect_leave_little(size):
    original = picture(1, (480, 400))
    resized = cv2.resize(original, size, interpolation=cv2.INTER_AREA)
    pair = [fingerprint(p).astype(float) for p in (original, resized)]
    assert np.corrcoef(pair)[0, 1] > 0.99
    other = fingerprint(picture(2, (480, 400))).astype(float)
    assert abs(np.corrcoef(pair[0], other)[0, 1]) < 0.2


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 400),
    st.sampled_from([np.uint8, np.uint16]),
    st.floats(0, 1),
)
def test_one_value_gives_zeros_in_any_shape(height, width, dtype, level):
    value = dtype(level * np.iinfo(dtype).max)
    assert not fingerprint(np.full((height, width), value)).any()


@pytest.mark.parametrize("shape", [(1, 2), (8, 8), (3, 3000), (3000, 5), (95, 97)])
def test_any_shape(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = fingerprint(pixels)
    assert found.shape == (SIDE * SIDE,)
    assert found.any()


def test_pixel_hash():
    pixels = picture(3)
    expected = hashlib.sha256(b"|u1 (240, 200) " + pixels.tobytes()).hexdigest()
    assert pixel_hash(pixels) == expected
    # The layout in memory is no part of the picture; type, shape and values are.
    assert pixel_hash(np.asfortranarray(pixels)) == expected
    assert pixel_hash(np.repeat(pixels, 2, 1)[:, ::2]) == expected
    changed = pixels.copy()
    changed[7, 5] ^= 1
    others = [changed, pixels.astype(np.uint16), pixels.reshape(200, 240), pixels.T]
    assert len({expected, *map(pixel_hash, others)}) == 5
