"""TIFF and WebP films, as radiology and the web write them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiff_writer import tiff

from tfds_builders.common import limits
from tfds_builders.common.errors import InputError
from tfds_builders.common.film import format_of, read_film
from tfds_builders.common.images import read_grey
from tfds_builders.common.limits import Held
from tfds_builders.common.orientation import upright


def film(dtype=np.uint8, shape=(40, 50), seed=0):
    highest = np.iinfo(dtype).max
    noise = np.random.default_rng(seed).integers(0, highest, shape, endpoint=True)
    noise.flat[0] = highest
    return noise.astype(dtype)


def read(data, bits=16):
    return read_grey(Held("a.tiff", data), bits)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_polarity_and_orientation_are_obeyed(order, dtype, photometric, orientation):
    pixels = film(dtype)
    found = read(tiff(pixels, photometric, order, orientation=orientation))
    right = pixels if photometric else np.iinfo(dtype).max - pixels
    np.testing.assert_array_equal(found.pixels, upright(right, orientation))
    assert ("images_white_is_zero" in found.notes) == (photometric == 0)
    assert (f"images_turned:{orientation}" in found.notes) == (orientation != 1)


def test_a_negative_of_twelve_bits_is_inverted_within_them():
    pixels = film(np.uint16) // 16
    found = read(tiff(pixels, photometric=0)).pixels
    assert found.min() == 0
    right = np.rint((4095 - pixels) * (65535 / 4095))
    assert np.abs(found - right).max() <= 16


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_other_programs_compress(compression, dtype):
    pixels = cv2.GaussianBlur(film(dtype, (300, 200)), (9, 9), 3)
    pixels.flat[0] = np.iinfo(dtype).max
    settings_ = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    data = cv2.imencode(".tiff", pixels, settings_)[1].tobytes()
    np.testing.assert_array_equal(read(data).pixels, pixels)


def test_colour_becomes_grey():
    pixels = film(shape=(40, 50, 3))
    found = read(tiff(pixels, photometric=2))
    right = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(found.pixels, right)
    assert found.coloured


GREY = film()
REFUSED = {
    "several pages": tiff(GREY, following=8),
    "floating point": tiff(film(np.uint32), format=3, bits=32),
    "signed": tiff(GREY, format=2),
    "1 bits": tiff(GREY, bits=1),
    "32 bits": tiff(film(np.uint32)),
    "compression JPEG": tiff(GREY, compression=7),
    "number 50000": tiff(GREY, compression=50000),
    "palette": tiff(GREY, photometric=3),
    "4 samples": tiff(film(shape=(9, 9, 4)), photometric=2),
    "BigTIFF": b"II+\0" + bytes(60),
    "truncated": tiff(GREY)[:-1],
    "damaged": tiff(GREY, strip_bytes=10),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_read_is_named(reason):
    with pytest.raises(InputError, match=rf"a\.tiff: .*{reason}"):
        read(REFUSED[reason])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_refused_or_read(data):
    """Whatever the bytes are: an InputError, or pixels."""
    kind = data.draw(st.sampled_from(["lzw", "plain", "webp", "lossless"]))
    whole = bytearray(FILES[kind])
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for _ in range(data.draw(st.integers(0, 4))):
        if whole:
            place = data.draw(st.integers(0, min(len(whole), 400) - 1))
            whole[place] = data.draw(st.integers(0, 255))
    try:
        assert read(bytes(whole)).pixels.ndim == 2
    except InputError as error:
        assert error.hint


FILES = {
    "lzw": cv2.imencode(".tiff", GREY)[1].tobytes(),
    "plain": tiff(GREY),
    "webp": cv2.imencode(".webp", GREY, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes(),
    "lossless": cv2.imencode(".webp", GREY, [cv2.IMWRITE_WEBP_QUALITY, 101])[
        1
    ].tobytes(),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_truncated_file_is_refused(kind):
    data = FILES[kind]
    for size in range(12, len(data) - 1, 37):
        with pytest.raises(InputError):
            read(data[:size])


def test_webp_is_read():
    np.testing.assert_array_equal(read(FILES["lossless"], 8).pixels, GREY)
    lossy = read(FILES["webp"], 8)
    assert lossy.pixels.shape == GREY.shape and not lossy.coloured
    assert format_of(FILES["webp"], "") == "webp"
    assert read_film(Held("a", FILES["lossless"]), 16).pixels.max() == 65535


def test_an_animated_webp_is_refused():
    header = b"VP8X" + (10).to_bytes(4, "little") + b"\x02" + bytes(9)
    whole = b"RIFF" + (4 + len(header)).to_bytes(4, "little") + b"WEBP" + header
    with pytest.raises(InputError, match="animated"):
        read(whole)


def test_a_picture_beyond_the_limit_is_not_decoded(monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, "0.001")
    for data in FILES.values():
        with pytest.raises(InputError, match="40 x 50 pixels, more than"):
            read(data)
