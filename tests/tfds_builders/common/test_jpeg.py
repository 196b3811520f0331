"""A JPEG that lost data is refused: what libjpeg fills in, nobody has seen."""

import contextlib
import os

import cv2
import numpy as np
import pytest

from tfds_builders.common import jpeg
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import read_grey

END = b"\xff\xd9"


def film(seed=0, shape=(200, 240)):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    smooth = (np.sin(x / 19 + seed) + np.cos(y / 17) + 2) / 4 * 200 + 20
    return np.clip(smooth + rng.normal(0, 4, shape), 0, 255).astype(np.uint8)


FORMS = {
    "baseline": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
}


def encoded(form, seed=0, pixels=None):
    options = [cv2.IMWRITE_JPEG_QUALITY, 90, *FORMS[form]]
    pixels = film(seed) if pixels is None else pixels
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        read_grey(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_data_lost_or_doubled(tmp_path, form):
    """300 files of each form: cut, cut and closed, a piece lost, doubled or added.

    All are refused but one, whose last scan of single bits ends where it should.
    """
    read = 0
    rng = np.random.default_rng(0)
    path = tmp_path / "a.jpg"
    for seed in range(60):
        data = encoded(form, seed)
        path.write_bytes(data)
        assert read_grey(path).notes == ()
        scan = data.index(b"\xff\xda") + 12
        at = int(rng.integers(scan, len(data) - 1500))
        size = int(rng.integers(500, 1400))
        refused(path, data[:at])
        refused(path, data[:at] + END)
        for broken in (
            data[:at] + data[at + size :],
            data[: at + size] + data[at:],
            data[:at] + rng.bytes(size) + data[at:],
        ):
            path.write_bytes(broken)
            with contextlib.suppress(InputError):
                read_grey(path)
                read += 1
    assert read == (form == "progressive")


def test_cut_between_scans_and_closed(tmp_path):
    data = encoded("progressive")
    scans = [at for marker, at, _ in jpeg.segments(data) if marker == jpeg.SCAN]
    assert len(scans) > 4
    for at in scans:
        refused(tmp_path / "a.jpg", data[:at] + END)


def test_what_follows_the_end_does_not_matter(tmp_path):
    data = encoded("baseline")
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    expected = read_grey(path).pixels
    for tail in (b"\0", b"\xff" * 7, b"junk" * 99, data):
        path.write_bytes(data + tail)
        np.testing.assert_array_equal(read_grey(path).pixels, expected)


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [
        (0xC0, 12, "baseline JPEG, 12 bits"),
        (0xC1, 12, "extended JPEG, 12 bits"),
        (0xC3, 8, "lossless JPEG, 8 bits"),
        (0xC9, 8, "JPEG with arithmetic coding, 8 bits"),
        (0xC5, 8, "hierarchical JPEG, 8 bits"),
        (0xF7, 8, "JPEG-LS, 8 bits"),
    ],
)
def test_kinds_that_opencv_does_not_read_are_named(tmp_path, marker, bits, words):
    data = bytearray(encoded("baseline"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        read_grey(path)
    assert words in str(error.value)
    assert "damaged" not in str(error.value)


def test_the_terminal_is_left_to_others(tmp_path, capfd):
    data = encoded("baseline")
    assert jpeg.decode(data[:2000] + END)[1]
    assert not jpeg.decode(data)[1]
    os.write(2, b"after")
    assert capfd.readouterr() == ("", "after")


def test_without_a_terminal():
    data = encoded("baseline")
    before = os.dup(2)
    os.close(2)
    try:
        found = jpeg.decode(data[:2000] + END)[1], jpeg.decode(data)[1]
    finally:
        os.dup2(before, 2)
        os.close(before)
    assert found == (True, False)
