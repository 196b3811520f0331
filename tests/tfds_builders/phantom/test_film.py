"""The phantom's picture: anatomy in its place, opacities that grow with the score."""

import numpy as np
import pytest

from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film
from tfds_builders.phantom.opacity import zone_weights
from tfds_builders.phantom.scores import (
    ZONE_COUNTS,
    draw_patient,
    draw_scores,
    read_again,
)

SIZE = 128


def film_of(levels, seed, **kwargs):
    rng = np.random.default_rng([seed])
    return draw_film(draw_chest(rng), levels, rng, SIZE, **kwargs)


def test_same_random_stream_draws_the_same_film():
    first, second = film_of([0, 1, 2, 3, 0, 1], 5), film_of([0, 1, 2, 3, 0, 1], 5)
    np.testing.assert_array_equal(first.picture, second.picture)
    other = film_of([0, 1, 2, 3, 0, 1], 6)
    assert not np.array_equal(first.picture, other.picture)


def test_zones_lie_where_the_letters_say():
    for seed in range(8):
        zones = film_of([0] * 6, seed).zones
        assert set(np.unique(zones)) == {0, 1, 2, 3, 4, 5, 6}
        y, x = np.array([np.argwhere(zones == z).mean(0) for z in range(1, 7)]).T
        # A, B, C on the left of the picture, D, E, F on the right, top to bottom.
        assert x[:3].max() < x[3:].min()
        assert y[0] < y[1] < y[2] and y[3] < y[4] < y[5]


def test_lungs_are_dark_and_the_heart_lies_to_the_right():
    for seed in range(8):
        picture, zones = film_of([0] * 6, seed)
        between = (zones == 0) & (np.cumsum(zones > 0, 1) > 0)
        between &= np.cumsum(zones[:, ::-1] > 0, 1)[:, ::-1] > 0
        assert picture[between].mean() > picture[zones > 0].mean() + 0.2
        # The heart takes more of the lung on the right: zone F is smaller than C.
        assert (zones == 6).sum() < (zones == 3).sum()
        assert picture.min() >= 0 and picture.max() <= 1
        assert 0.05 < (zones > 0).mean() < 0.5


def test_every_level_is_brighter_than_the_one_before():
    means = np.array(
        [
            [
                [film.picture[film.zones == z].mean() for z in range(1, 7)]
                for film in (film_of([level] * 6, seed) for level in range(4))
            ]
            for seed in range(12)
        ]
    )
    steps = np.diff(means.mean(0), axis=0)  # [3 steps, 6 zones]
    assert (steps > 0.02).all(), steps


@pytest.mark.parametrize("zone", range(6))
def test_a_score_changes_its_own_zone_only(zone):
    levels = np.zeros(6, int)
    clear = film_of(levels, 3)
    levels[zone] = 3
    ill = film_of(levels, 3)
    np.testing.assert_array_equal(clear.zones, ill.zones)
    change = np.abs(ill.picture - clear.picture)
    moved = [change[clear.zones == z].mean() for z in range(1, 7)]
    assert int(np.argmax(moved)) == zone
    # Neighbours share a soft border; everything further away stays as it was.
    others = [z for z in range(6) if z // 3 != zone // 3 or abs(z - zone) > 1]
    assert max(moved[z] for z in others) < 0.01
    outside = change[clear.zones == 0]
    assert outside.mean() < 0.02


def test_score_does_not_change_what_surrounds_the_patient():
    # Rotation, exposure, collimation, marker: all drawn alike for any score.
    for seed in range(4):
        clear, ill = film_of([0] * 6, seed), film_of([3] * 6, seed)
        assert clear.picture.shape == ill.picture.shape
        rim = np.ones(clear.picture.shape, bool)
        rim[6:-6, 6:-6] = False
        rim &= clear.zones == 0
        assert np.median(np.abs(clear.picture - ill.picture)[rim]) < 1e-6


def test_zone_weights_are_thirds_and_sum_to_one():
    height = np.linspace(-0.2, 1.2, 141)[:, None]
    weights = zone_weights(height)
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-3)
    expected = np.clip(np.floor(height[:, 0] * 3), 0, 2)
    away = np.abs(height[:, 0] * 3 - np.rint(height[:, 0] * 3)) > 0.15
    np.testing.assert_array_equal(weights.argmax(0)[away, 0], expected[away])


def test_scores_have_the_real_histograms_and_belong_to_the_patient():
    rng = np.random.default_rng(0)
    pairs = np.array(
        [
            [draw_scores(patient, rng) for _ in range(2)]
            for patient in (draw_patient(rng) for _ in range(3000))
        ]
    )
    share = np.stack([(pairs[:, 0] == level).mean(0) for level in range(4)], 1)
    real = ZONE_COUNTS / ZONE_COUNTS.sum(1, keepdims=True)
    np.testing.assert_allclose(share, real, atol=0.03)
    # Published: global mean 8.30, SD 4.24 (table A1 of the release's analysis).
    totals = pairs.sum(2)
    assert abs(totals.mean() - 8.30) < 0.3 and abs(totals.std() - 4.24) < 0.3
    assert 0.5 < np.corrcoef(totals.T)[0, 1] < 0.97


def test_another_reader_is_at_most_one_level_off():
    rng = np.random.default_rng(0)
    scores = np.array([0, 1, 2, 3, 3, 0])
    reads = np.stack([read_again(scores, rng) for _ in range(400)])
    assert np.abs(reads - scores).max() == 1
    assert reads.min() == 0 and reads.max() == 3
    assert 0.7 < (reads == scores).mean() < 0.9


@pytest.mark.parametrize("size", [32, 700])
def test_any_size(size):
    rng = np.random.default_rng(1)
    film = draw_film(draw_chest(rng), [1] * 6, rng, size)
    assert max(film.picture.shape) == size
    assert np.isfinite(film.picture).all() and film.picture.std() > 0.1
