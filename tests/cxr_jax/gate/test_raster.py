import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cxr_jax.gate.raster import raster, window

FILMS = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16]),
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=70),
)


@given(FILMS, st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_boxes_are_means_of_the_film_enlarged_to_whole_boxes(film, side):
    """Each pixel repeated `side` times, so that every box holds whole pixels."""
    height, width = film.shape
    large = film.astype(np.float64).repeat(side, 0).repeat(side, 1)
    means = large.reshape(side, height, side, width).mean((1, 3))
    expected = means / np.iinfo(film.dtype).max
    np.testing.assert_allclose(raster(film, side), expected, rtol=1e-12)


def test_is_area_averaging_where_boxes_are_whole():
    film = np.random.default_rng(0).integers(0, 256, (96, 64), np.uint8)
    area = cv2.resize(film.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(raster(film, 32) * 255, area, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_turning_the_film_turns_the_raster(k):
    film = np.random.default_rng(0).integers(0, 65536, (77, 41), np.uint16)
    turned = raster(np.rot90(film, k), 32)
    assert np.array_equal(turned, np.rot90(raster(film, 32), k))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5000, 3000), (1, 1), (1, 999), (333, 2)])
def test_a_flat_film_is_flat_to_the_bit(dtype, shape):
    value = np.iinfo(dtype).max // 3
    found = raster(np.full(shape, value, dtype), 32)
    assert (found == value / np.iinfo(dtype).max).all()


def test_a_window_is_the_raster_of_that_part():
    film = np.random.default_rng(0).integers(0, 65536, (96, 96), np.uint16)
    whole = (film / 65535)[None]
    part = window(whole, 0.25, 0.75, 0, 0.5, 16)[0]
    np.testing.assert_allclose(part, raster(film[24:72, :48], 16), rtol=1e-12)


def test_each_raster_has_its_own_window():
    films = np.random.default_rng(0).random((2, 40, 40))
    ends = np.array([0.5, 1.0])
    both = window(films, ends - 0.5, ends, 0, 1, 20)
    np.testing.assert_allclose(both[0], window(films[:1], 0, 0.5, 0, 1, 20)[0])
    np.testing.assert_allclose(both[1], window(films[1:], 0.5, 1, 0, 1, 20)[0])
