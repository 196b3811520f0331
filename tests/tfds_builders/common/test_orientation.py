"""The eight orientations of EXIF, against Pillow's reading of them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from tfds_builders.common import orientation
from tfds_builders.common.images import read_grey

FILM = (np.arange(40)[:, None] * 5 + np.arange(50)).astype(np.uint8)
# As PS3.3, C.7.6.1.1.1 puts it: where the rows run to, and where the columns do.


def exif(value, order="<", tag=0x0112):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    other = struct.pack(f"{order}HHII", 0x010F, 2, 4, 0)  # the maker, before it
    entry = struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return mark + struct.pack(f"{order}IH", 8, 2) + other + entry + bytes(4)


def written(tmp_path, suffix, block):
    out = io.BytesIO()
    form = "PNG" if suffix == ".png" else "JPEG"
    Image.fromarray(FILM).save(out, form, exif=b"Exif\0\0" + block, quality=95)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("value", range(1, 9))
def test_pictures_are_turned_upright_and_counted(tmp_path, suffix, order, value):
    path = written(tmp_path, suffix, exif(value, order))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    pixels, notes = read_grey(path)
    np.testing.assert_allclose(pixels.astype(int), expected, atol=1)
    assert notes == ((f"images_turned:{value}",) if value > 1 else ())


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_blocks_that_say_nothing(tmp_path, suffix):
    plain = read_grey(written(tmp_path, suffix, exif(1))).pixels
    blocks = [exif(0), exif(9), exif(6, tag=0x0113), exif(6)[:20], b"", b"II*\0\xff"]
    for block in [*blocks, b"II*\0\xff\xff\xff\xff", b"MM*\0" + exif(6)[4:]]:
        pixels, notes = read_grey(written(tmp_path, suffix, block))
        np.testing.assert_array_equal(pixels, plain)
        assert notes == ()


def test_orientations_are_the_eight_of_a_square():
    square = np.arange(9).reshape(3, 3)
    all_eight = {orientation.upright(square, k).tobytes() for k in range(1, 9)}
    assert len(all_eight) == 8
