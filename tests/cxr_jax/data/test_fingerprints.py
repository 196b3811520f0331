import cv2
import numpy as np
import pytest
import toys

from cxr_jax.data import fingerprints
from tfds_builders.common.duplicates.fingerprints import fingerprint, pixel_hash
from tfds_builders.common.errors import InputError


def read(*shown):
    table = toys.rows([f"a{k}" for k in range(len(shown))])
    return fingerprints.read(
        toys.make_splits({"train": table}, {"train": list(shown)}).values()
    )


def test_every_field_matches_numpy():
    film = toys.film(1, (96, 64))
    film[:10, :16], film[90:, :8] = 0, 255
    other = toys.film(2, (40, 50))
    found = read(film, other)
    np.testing.assert_array_equal(found.fingerprint[0], fingerprint(film))
    assert found.pixel_hash.tolist() == [pixel_hash(film), pixel_hash(other)]
    blocks = film.reshape(32, 3, 32, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(found.thumbnail[0], blocks, atol=0.51)
    shares = np.histogram(film, bins=64, range=(0, 256))[0] / film.size
    np.testing.assert_allclose(found.histogram[0], shares, rtol=1e-6)
    edge = np.ones((96, 64), bool)
    edge[12:-12, 8:-8] = False
    shares = np.histogram(film[edge], bins=64, range=(0, 256))[0] / edge.sum()
    np.testing.assert_allclose(found.border_histogram[0], shares, rtol=1e-6)
    assert found.height.tolist() == [96, 40]
    assert found.width.tolist() == [64, 50]
    assert found.lowest[0] == pytest.approx((film == 0).mean())
    assert found.highest[0] == pytest.approx((film == 255).mean())
    assert found.dtype.tolist() == ["uint8", "uint8"]
    assert not found.blank.any()


def test_16_bits_use_the_whole_range():
    film = toys.film(3)
    wide = film.astype(np.uint16) * 257
    found, same = read(wide), read(film)
    np.testing.assert_array_equal(found.thumbnail, same.thumbnail)
    np.testing.assert_allclose(found.histogram, same.histogram)
    assert found.dtype.tolist() == ["uint16"]
    white = read(np.full((20, 20), 65535, np.uint16))
    assert white.blank.all() and white.highest.tolist() == [1]
    assert read(np.zeros((20, 20), np.uint8)).lowest.tolist() == [1]


def test_many_images_stay_in_order():
    shown = [np.full((8, 8), k, np.uint8) for k in range(100)]
    found = read(*shown)
    assert found.thumbnail[:, 0, 0].tolist() == list(range(100))


def test_an_undecodable_image_is_named():
    split = toys.make_splits({"train": toys.rows(["a"])})["train"]
    for content, message in (
        (b"no picture", "cannot be decoded"),
        (cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes(), "in colour"),
    ):
        broken = split._replace(read=lambda i, content=content: {"image": content})
        with pytest.raises(InputError, match=message):
            fingerprints.read([broken])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_of_a_few_pixels(shape, dtype):
    white = np.iinfo(dtype).max
    found = read(np.full(shape, white, dtype), np.full(shape, 7, dtype))
    assert found.highest.tolist() == [1, 0] and found.lowest.tolist() == [0, 0]
    assert found.blank.all() and (found.height[0], found.width[0]) == shape
    assert (found.thumbnail[0] == 255).all()
