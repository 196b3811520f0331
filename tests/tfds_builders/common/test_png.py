"""A PNG is whole: every chunk, every row, both checksums."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tfds_builders.common.errors import InputError
from tfds_builders.common.images import read_grey
from tfds_builders.common.png import MARK

FILM = np.random.default_rng(0).integers(0, 256, (61, 53)).astype(np.uint8)


def chunk(name, data):
    crc = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def png(*parts, rows=61, columns=53, colour=0, bits=8, interlace=0):
    head = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, interlace)
    parts = [(b"IHDR", head), *parts, (b"IEND", b"")]
    return MARK + b"".join(chunk(*part) for part in parts)


STREAM = zlib.compress(b"".join(b"\0" + row.tobytes() for row in FILM))


def read(tmp_path, data):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    return read_grey(path).pixels


def refused(tmp_path, data):
    with pytest.raises(InputError, match=r"a\.png: a truncated or damaged image"):
        read(tmp_path, data)


def test_stream_that_is_changed_under_right_checksums(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, png((b"IDAT", STREAM))), FILM)
    middle = len(STREAM) // 2
    flipped = bytearray(STREAM)
    flipped[middle] ^= 4
    for stream in (
        STREAM[:middle],
        STREAM[:-4],  # its own checksum
        STREAM[:middle] + STREAM[middle + 60 :],
        STREAM[: middle + 60] + STREAM[middle:],
        bytes(flipped),
        b"",
    ):
        refused(tmp_path, png((b"IDAT", stream)))
    refused(tmp_path, png())


def test_rows_and_columns_that_are_not_those_of_the_stream(tmp_path):
    for size in ({"rows": 60}, {"rows": 62}, {"columns": 52}, {"columns": 54}):
        refused(tmp_path, png((b"IDAT", STREAM), **size))
    refused(tmp_path, png((b"IDAT", STREAM), interlace=1))
    refused(tmp_path, png((b"IDAT", STREAM), colour=2))


def test_stream_in_pieces_with_something_behind_it(tmp_path):
    pieces = [(b"IDAT", STREAM[at : at + 100]) for at in range(0, len(STREAM), 100)]
    np.testing.assert_array_equal(read(tmp_path, png(*pieces)), FILM)
    np.testing.assert_array_equal(
        read(tmp_path, png((b"IDAT", STREAM + b"junk")) + b"more junk"), FILM
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("shape", [(33, 35), (34, 41), (40, 40)])
def test_interlaced(tmp_path, bits, shape):
    """The size of the seven passes, as libpng unpacks them (ISO/IEC 15948, 8.2)."""
    rows, columns = shape
    stream = b""
    for top, left, down, across in (
        *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
        *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
    ):
        lines = len(range(top, rows, down))
        width = -(-len(range(left, columns, across)) * bits // 8)
        stream += (b"\0" + b"\xff" * width) * lines
    packed = zlib.compress(stream)
    data = png((b"IDAT", packed), rows=rows, columns=columns, bits=bits, interlace=1)
    assert (read(tmp_path, data) == 255).all()
    shorter = (b"IDAT", zlib.compress(stream[:-1]))
    refused(tmp_path, png(shorter, rows=rows, columns=columns, bits=bits, interlace=1))


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "P", "I;16", "1"])
def test_what_pillow_writes(tmp_path, mode):
    image = Image.fromarray(FILM).convert("L")
    image = Image.fromarray(FILM.astype(np.uint16) * 257) if mode == "I;16" else image
    out = io.BytesIO()
    (image if mode == "I;16" else image.convert(mode)).save(out, "PNG", optimize=True)
    pixels = read(tmp_path, out.getvalue())
    if mode == "1":
        assert set(np.unique(pixels)) == {0, 255}
    else:
        np.testing.assert_array_equal(pixels, FILM)


def test_chunks_that_are_no_pixels(tmp_path):
    """A gamma, an animation of two frames, and two GB of text in two MB."""
    packer = zlib.compressobj(9)
    text = packer.compress(bytes(1 << 26)) + packer.flush()
    for name, data in (
        (b"gAMA", struct.pack(">I", 1)),
        (b"acTL", struct.pack(">II", 2, 0)),
        (b"zTXt", b"Comment\0\0" + text),
        (b"pHYs", struct.pack(">IIB", 2000, 1000, 1)),
    ):
        found = read(tmp_path, png((name, data), (b"IDAT", STREAM)))
        np.testing.assert_array_equal(found, FILM)


def test_of_opencv(tmp_path):
    for pixels in (FILM, FILM.astype(np.uint16) * 257, np.dstack([FILM] * 3)):
        data = cv2.imencode(".png", pixels)[1].tobytes()
        np.testing.assert_array_equal(read(tmp_path, data), FILM)
