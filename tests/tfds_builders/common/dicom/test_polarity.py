"""Chest films, and films whose tag was turned round: which of them are noticed."""

import cv2
import numpy as np
import pydicom
import pytest
import scipy.stats
from dicom_writer import make_header, save
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from places import SHARED_DATA
from stored import needs

from tfds_builders.common.dicom import polarity
from tfds_builders.common.dicom.polarity import contradicts, evidence
from tfds_builders.common.dicom.radiograph import read_dicom
from tfds_builders.common.images import SUFFIXES, read_picture
from tfds_builders.phantom import write_release

REAL = SHARED_DATA / "BrixIA" / "dicom_clean"
OTHER = {b"MONOCHROME1": b"MONOCHROME2", b"MONOCHROME2": b"MONOCHROME1"}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = write_release("brixia", tmp_path_factory.mktemp("p") / "p", 40, size=192)
    return sorted((folder / "dicom_clean").iterdir())


@pytest.fixture(scope="module")
def films(phantoms):
    return [read_dicom(path).pixels for path in phantoms]


def turned(path, folder):
    """A copy of a DICOM file with the other polarity in its header."""
    data = path.read_bytes()
    (tag,) = (tag for tag in OTHER if tag in data)
    copy = folder / path.name
    copy.write_bytes(data.replace(tag, OTHER[tag]))
    return copy


def noticed(paths, folder):
    """How many of the files, and of their turned copies, are said to be wrong."""
    counts = np.zeros(2, int)
    for path in paths:
        right, wrong = read_dicom(path), read_dicom(turned(path, folder))
        counts += right.polarity_contradicted, wrong.polarity_contradicted
        # The tag is obeyed all the same, and the tag is what is reported.
        assert np.abs(wrong.pixels - (65535.0 - right.pixels)).max() <= 1
        assert wrong.photometric_interpretation != right.photometric_interpretation
        mended = read_dicom(turned(path, folder), polarity="pixels")
        assert mended.polarity_contradicted == wrong.polarity_contradicted
        expected = right if wrong.polarity_contradicted else wrong
        assert np.abs(mended.pixels.astype(int) - expected.pixels).max() <= 1
        kept = read_dicom(path, polarity="pixels")
        np.testing.assert_array_equal(kept.pixels, right.pixels)
    return tuple(counts)


def test_phantoms(phantoms, tmp_path):
    polarities = {pydicom.dcmread(path).PhotometricInterpretation for path in phantoms}
    assert len(polarities) == 2
    false, found = noticed(phantoms, tmp_path)
    assert false == 0
    assert found >= 0.85 * len(phantoms)


@needs(REAL)
def test_real_films(tmp_path):
    paths = sorted(REAL.iterdir())
    false, found = noticed(paths, tmp_path)
    assert false == 0
    assert found >= 0.9 * len(paths)


@needs(SHARED_DATA / "COVID-19_Radiography_Dataset")
def test_real_pictures_of_other_sources():
    folder = SHARED_DATA / "COVID-19_Radiography_Dataset"
    paths = sorted(p for p in folder.rglob("images/*") if p.suffix in SUFFIXES)
    pictures = [read_picture(path) for path in paths[::8]]
    assert pictures
    assert not any(contradicts(picture) for picture in pictures)
    assert np.mean([contradicts(255 - picture) for picture in pictures]) > 0.9


def test_the_negative_has_the_opposite_evidence(films):
    for film in films[:20]:
        assert evidence(65535 - film) == pytest.approx(-evidence(film), abs=0.01)


def test_windows_do_not_matter(films):
    for film in films[:20]:
        bright = np.rint(65535 * (film / 65535) ** 0.4).astype(np.uint16)
        assert evidence(bright) == pytest.approx(evidence(film), abs=0.1)
        assert not contradicts(bright)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_films_on_their_side(films, turns):
    rotated = [np.rot90(film, turns) for film in films]
    assert not any(contradicts(film) for film in rotated)
    assert np.mean([contradicts(65535 - film) for film in rotated]) > 0.8


@pytest.mark.parametrize("colour", [0, 65535])
@pytest.mark.parametrize("share", [0.03, 0.12])
def test_frames_of_either_colour(films, colour, share):
    def framed(film):
        edge = int(share * len(film))
        return cv2.copyMakeBorder(
            film, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=colour
        )

    assert not any(contradicts(framed(film)) for film in films)
    found = np.mean([contradicts(framed(65535 - film)) for film in films])
    assert found > 0.7


def test_letters_of_lead(films):
    for film in films:
        film = film.copy()
        side = len(film) // 9
        film[5 : 5 + side, 5 : 5 + side] = 65535
        film[5 : 5 + side, -5 - side : -5] = 65535
        assert not contradicts(film)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    kind=st.sampled_from(["flat", "ramp", "one"]),
)
def test_pictures_of_nothing(shape, kind):
    film = np.zeros(shape, np.uint16)
    if kind == "ramp":
        film[:] = np.arange(shape[1]) * 100
    if kind == "one":
        film[shape[0] // 2, shape[1] // 2] = 9
    assert -0.5 <= evidence(film) <= 0.5
    if kind == "flat" or min(shape) < 32:
        assert evidence(film) == 0


def test_padding_says_nothing(films, tmp_path):
    # A round picture in a square of padding, which is dark in either polarity.
    noticed = []
    for number, film in enumerate(films[:20]):
        codes = np.minimum(film, 65534)
        y, x = np.mgrid[-1 : 1 : codes.shape[0] * 1j, -1 : 1 : codes.shape[1] * 1j]
        outside = y**2 + x**2 > 1.3
        for tag in ("MONOCHROME1", "MONOCHROME2"):
            padded = np.where(outside, 65535, codes).astype(np.uint16)
            header = make_header(padded, 16, tag, PixelPaddingValue=65535)
            xray = read_dicom(save(tmp_path / f"{number}.dcm", header), "pixels")
            assert not xray.pixels[outside].any()
            noticed.append((tag, xray.polarity_contradicted))
    assert noticed.count(("MONOCHROME2", True)) == 0
    assert noticed.count(("MONOCHROME1", True)) >= 15


@given(hnp.arrays(np.float32, (3, 24), elements=st.integers(0, 9).map(np.float32)))
def test_ranks_are_those_of_scipy(rows):
    found = polarity._ranks(rows)
    np.testing.assert_array_equal(found, scipy.stats.rankdata(rows, axis=1))
