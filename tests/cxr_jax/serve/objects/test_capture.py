"""The picture: pixels, and how it lies."""

import numpy as np
import pytest
from node_films import film as make_film
from node_results import read_back, scored

from cxr_jax.serve.objects import make
from tfds_builders.common.dicom.sides import _ORIENTATIONS
from tfds_builders.common.orientation import upright


def picture(bundle, film, result):
    return read_back(make(film, result, bundle, ["sc"])[0])


def test_the_overlay_is_in_it_as_it_is(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    made = picture(brixia, film, result)
    pixels = made.pixel_array
    height, width = result.overlay.shape[:2]
    assert pixels.shape[1:] == (width, 3)
    places = [
        row
        for row in range(pixels.shape[0] - height + 1)
        if np.array_equal(pixels[row : row + height], result.overlay)
    ]
    assert len(places) == 1
    band = pixels[: places[0]].reshape(-1, 3)
    assert len(np.unique(band, axis=0)) > 1  # something is written on it


def test_what_it_is_made_of(brixia, tmp_path):
    film, result = scored(
        brixia,
        tmp_path,
        LossyImageCompression="01",
        LossyImageCompressionRatio="10.5",
        LossyImageCompressionMethod="ISO_10918_1",
    )
    made = picture(brixia, film, result)
    [source] = made.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == film.SOPInstanceUID
    assert source.ReferencedSOPClassUID == film.SOPClassUID
    assert list(made.ImageType) == ["DERIVED", "SECONDARY"]
    assert made.BurnedInAnnotation == "YES"  # the film does not say
    assert "research only" in made.DerivationDescription
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionRatio == 10.5


@pytest.mark.parametrize("name", sorted(_ORIENTATIONS))
def test_a_film_that_lies_otherwise_gives_the_same_picture(name, brixia, tmp_path):
    """Zones and figures are where the patient has them, however the film was sent."""
    plain, result = scored(brixia, tmp_path)
    pixels = plain.pixel_array
    turned = _lying(pixels, _ORIENTATIONS[name])
    other, found = scored(
        brixia,
        tmp_path,
        PixelData=turned.tobytes(),
        Rows=turned.shape[0],
        Columns=turned.shape[1],
        PatientOrientation=list(name),
    )
    made = picture(brixia, other, found)
    assert list(made.PatientOrientation) == ["L", "F"]
    np.testing.assert_array_equal(found.overlay, result.overlay)


def _lying(pixels, number):
    """The picture that `upright` turns back into these pixels, found by trying all."""
    ways = [np.rot90(each, k) for each in (pixels, pixels[:, ::-1]) for k in range(4)]
    [way] = [w for w in ways if np.array_equal(upright(w, number), pixels)]
    return np.ascontiguousarray(way)


def test_without_an_orientation_it_claims_none(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    assert "PatientOrientation" not in make_film(1)
    assert not picture(brixia, film, result).PatientOrientation


def test_a_lateral_film_keeps_its_orientation(brixia, tmp_path):
    film, result = scored(
        brixia, tmp_path, PatientOrientation=["A", "F"], ViewPosition="LL"
    )
    assert list(picture(brixia, film, result).PatientOrientation) == ["A", "F"]


@pytest.mark.parametrize(
    ("said", "wanted"), [("NO", "NO"), ("YES", "YES"), (None, "YES")]
)
def test_letters_on_the_film_are_letters_on_its_results(brixia, tmp_path, said, wanted):
    tags = {} if said is None else {"BurnedInAnnotation": said}
    film, result = scored(brixia, tmp_path, **tags)
    for made in make(film, result, brixia, ["sc", "pdf"]):
        assert made.BurnedInAnnotation == wanted
