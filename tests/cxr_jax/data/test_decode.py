import cv2
import numpy as np
import pytest

from cxr_jax.data import decode
from tfds_builders.common.images import encode_png


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def test_stretch_fills_the_square_by_area_averaging():
    image = np.arange(8 * 4, dtype=np.uint16).reshape(8, 4) * 1000
    found = decode.image(png(image), 4, "stretch")
    expected = image.reshape(4, 2, 4).mean(axis=1)
    np.testing.assert_allclose(found[..., 0], expected, atol=0.5)
    assert found.dtype == np.uint16


def test_pad_keeps_every_pixel_and_centres_it():
    image = np.full((8, 4), 7, np.uint8)
    found = decode.image(png(image), 8, "pad")[..., 0]
    assert found[:, 2:6].tolist() == image.tolist()
    assert found[:, :2].sum() == found[:, 6:].sum() == 0


FILMS = [
    np.random.default_rng(0).integers(0, 256, (37, 53), dtype=np.uint8),
    np.random.default_rng(1).integers(0, 65536, (41, 29), dtype=np.uint16),
]


@pytest.fixture(params=["opencv", "kornia-rs"])
def decoder(request, monkeypatch):
    if request.param == "opencv":
        monkeypatch.setattr(decode, "kornia", None)
    else:
        pytest.importorskip("kornia_rs")


@pytest.mark.parametrize("film", FILMS, ids=["8 bits", "16 bits"])
def test_both_decoders_return_what_was_stored(decoder, film):
    for stored in (encode_png(film), png(film)):
        found = decode.stored(stored)
        assert found.dtype == film.dtype
        np.testing.assert_array_equal(found, film)


def test_both_decoders_refuse_damage(decoder):
    whole = encode_png(FILMS[0])
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for damaged in (bytes(changed), whole[:900], whole[:20], b"text"):
        assert decode.stored(damaged) is None


def test_pictures_that_are_not_grey_are_as_opencv_has_them(decoder):
    colour = np.zeros((4, 5, 3), np.uint8)
    assert decode.stored(png(colour)).shape == (4, 5, 3)
