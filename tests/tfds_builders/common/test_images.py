import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfds_builders.common.errors import InputError
from tfds_builders.common.images import (
    encode_png,
    read_grey,
    read_mask,
    read_picture,
    read_picture_8bit,
    resize_longest,
)

GREY = (np.arange(40)[:, None] * 5 + np.arange(50)).astype(np.uint8)


def save(path, pixels, suffix=None):
    path.write_bytes(cv2.imencode(suffix or path.suffix, pixels)[1].tobytes())
    return path


def fails(path, *words, reader=read_picture):
    with pytest.raises(InputError) as error:
        reader(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_bytes_are_lossless(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 7), dtype)
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(pixels))
    read = read_picture(path)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)


def test_name_does_not_matter(tmp_path):
    png = save(tmp_path / "a.jpg", GREY, ".png")
    np.testing.assert_array_equal(read_picture(png), GREY)
    jpeg = save(tmp_path / "a.png", GREY, ".jpg")
    np.testing.assert_allclose(read_picture(jpeg).astype(int), GREY, atol=4)


def test_grey_as_colour_and_with_opaque_alpha(tmp_path):
    rgb = np.stack([GREY] * 3, -1)
    np.testing.assert_array_equal(read_picture(save(tmp_path / "a.png", rgb)), GREY)
    rgba = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1)
    np.testing.assert_array_equal(read_picture(save(tmp_path / "b.png", rgba)), GREY)


def png(colour_type, depth, width, height, rows, *chunks):
    """A PNG file from its chunks (ISO/IEC 15948)."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("coloured", [False, True])
def test_palette(tmp_path, coloured):
    entries = np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).reshape(256, 3)
    if coloured:
        entries[:, 0] = 0
    path = tmp_path / "a.png"
    rows = [row.tobytes() for row in GREY]
    path.write_bytes(png(3, 8, 50, 40, rows, (b"PLTE", entries.tobytes())))
    if coloured:
        fails(path, "colour")
    else:
        np.testing.assert_array_equal(read_picture(path), 255 - GREY)


def test_one_bit_and_grey_with_alpha(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(0, 1, 8, 1, [b"\xa5"]))
    assert read_picture(path).tolist() == [[255, 0, 255, 0, 0, 255, 0, 255]]
    path.write_bytes(png(4, 8, 2, 1, [b"\x07\xff\x09\xff"]))
    assert read_picture(path).tolist() == [[7, 9]]
    path.write_bytes(png(4, 8, 2, 1, [b"\x07\xff\x09\x80"]))
    fails(path, "transparent")


def test_colour_jpeg_whose_channels_differ_by_rounding(tmp_path):
    rng = np.random.default_rng(0)
    noisy = np.stack([GREY] * 3, -1) + rng.integers(0, 3, (40, 50, 3), np.uint8)
    path = save(tmp_path / "a.png", noisy)
    blue, green, red = np.moveaxis(noisy.astype(float), -1, 0)
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    np.testing.assert_allclose(read_picture(path), luma, atol=0.51)


def test_colour(tmp_path):
    warm = np.stack([GREY // 2, GREY, GREY], -1)
    fails(save(tmp_path / "a.png", warm), "colour", "grey levels")
    fails(save(tmp_path / "a.jpg", warm), "colour")


@pytest.mark.parametrize(
    ("largest", "used"), [(255, 8), (900, 10), (4095, 12), (9000, 14), (65535, 16)]
)
def test_sixteen_bits_are_scaled_from_the_depth_that_they_use(tmp_path, largest, used):
    deep = np.linspace(0, largest, GREY.size).reshape(GREY.shape).astype(np.uint16)
    path = save(tmp_path / "a.png", deep)
    pixels, notes = read_grey(path)
    assert pixels.dtype == np.uint8 and notes == (f"images_of_16_bits:{used}",)
    np.testing.assert_array_equal(pixels, np.rint(deep * (255 / (2**used - 1))))
    pixels, notes = read_grey(path, bits=16)
    assert pixels.dtype == np.uint16 and notes == (f"images_of_16_bits:{used}",)
    np.testing.assert_array_equal(pixels, np.rint(deep * (65535 / (2**used - 1))))


def test_colour_of_twelve_bits_in_sixteen(tmp_path):
    deep = GREY.astype(np.uint16) * 16
    path = save(tmp_path / "a.png", np.stack([deep // 2, deep, deep], -1))
    assert read_grey(path).coloured
    fails(path, "colour", reader=read_picture_8bit)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha(tmp_path, dtype):
    """Opaque, opaque but for four pixels, faint, and a picture that needs its alpha."""
    full = np.iinfo(dtype).max
    grey = GREY.astype(dtype) * (full // 255)
    opacity = np.full_like(grey, full)
    deep = () if full == 255 else ("images_of_16_bits:16",)

    def read(opacity):
        path = save(tmp_path / "a.png", np.stack([grey] * 3 + [opacity], -1))
        return read_grey(path)

    assert read(opacity).notes == deep
    opacity[:2, :2] = 0, 1
    found = read(opacity)
    np.testing.assert_array_equal(found.pixels, GREY)
    assert found.notes == ("images_not_quite_opaque", *deep)
    found = read(np.full_like(grey, full - full // 200))
    assert found.notes == ("images_not_quite_opaque", *deep)
    opacity[:4] = 0
    with pytest.raises(InputError, match=r"200 of 2,000 pixels are not opaque"):
        read(opacity)


def test_masks(tmp_path):
    hard = np.zeros((64, 64), np.uint8)
    hard[10:50, 12:40] = 255
    found = read_mask(save(tmp_path / "a.png", hard))
    np.testing.assert_array_equal(found.pixels, hard)
    assert found.notes == ()
    smooth = cv2.GaussianBlur(hard, (5, 5), 1.2)
    assert len(np.unique(smooth)) > 10
    found = read_mask(save(tmp_path / "b.png", smooth))
    np.testing.assert_array_equal(found.pixels, np.where(smooth > 127, 255, 0))
    assert found.notes == ("masks_thresholded",)
    found = read_mask(save(tmp_path / "c.png", hard // 255))  # 0 and 1
    np.testing.assert_array_equal(found.pixels, hard)
    assert found.notes == ("masks_thresholded",)
    for name, picture in {"d.png": GREY, "e.png": hard // 4}.items():
        fails(save(tmp_path / name, picture), "not a mask", reader=read_mask)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("left", [0.1, 0.5, 0.99])
def test_truncated(tmp_path, suffix, left):
    path = save(tmp_path / f"a{suffix}", GREY)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    fails(path, "truncated or damaged", "Copy the file")


def test_truncated_jpeg_with_a_whole_thumbnail(tmp_path):
    data = cv2.imencode(".jpg", GREY)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", GREY[:8, :8])[1].tobytes()
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + exif + data[2:])
    assert read_picture(path).shape == GREY.shape
    path.write_bytes(data[:2] + exif + data[2:-100])
    fails(path, "truncated")


def test_damaged_png(tmp_path, capfd):
    path = save(tmp_path / "a.png", GREY)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    fails(path, "truncated or damaged")
    assert capfd.readouterr() == ("", "")  # libpng would print


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\0" * 128 + b"DICM", "a DICOM"),
        (b"II*\0", "truncated or damaged"),
        (b"BM", "a BMP"),
        (b"nonsense", "unknown format"),
    ],
)
def test_other_content(tmp_path, content, words):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    fails(path, words)


def test_png_of_no_known_content(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(0, 8, 50, 40, [b"\0"]))  # one row of forty, and short
    fails(path, "damaged")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(8, 64))
def test_resize_keeps_aspect_and_never_enlarges(height, width, size):
    pixels = np.full((height, width), 777, np.uint16)
    out = resize_longest(pixels, size)
    assert out.dtype == np.uint16
    assert (out == 777).all()
    assert max(out.shape) == min(size, max(height, width))
    scale = max(out.shape) / max(height, width)
    for side, original in zip(out.shape, pixels.shape, strict=True):
        assert abs(side - original * scale) <= max(0.5, 1 - original * scale)


def test_resize_is_the_area_mean():
    pixels = np.random.default_rng(0).integers(0, 65536, (60, 80), np.uint16)
    means = pixels.reshape(15, 4, 20, 4).mean((1, 3))
    np.testing.assert_allclose(resize_longest(pixels, 20), means, atol=0.51)


def test_a_jpeg_of_printing_colours_may_be_inverted_and_is_refused(tmp_path):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    Image.fromarray(ramp).convert("RGB").convert("CMYK").save(tmp_path / "a.jpg")
    fails(tmp_path / "a.jpg", "a JPEG of 4 colours (CMYK)", "grey PNG")
