import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tfds_builders.common.duplicates import registration
from tfds_builders.common.duplicates.fingerprints import SIDE
from tfds_builders.common.duplicates.pairs import THRESHOLD
from tfds_builders.common.duplicates.registration import approach, look, settle

AT = (np.arange(SIDE) - (SIDE - 1) / 2) / SIDE
HERE = np.array([[1, 0, 1, 0]], np.float32)


def register(templates, others, start):
    """Agreement [n] of all pairs, 0 of those that are left on the way."""
    agreement = np.zeros(len(start), np.float32)
    near, place = approach(look(templates), look(others), start)
    agreement[near] = settle(templates[near], others[near], place)
    return agreement


def texture(seed):
    """float64 [288, 288]: fine enough to be told apart, smooth enough to be moved."""
    noise = np.random.default_rng(seed).normal(size=(288, 288))
    texture = cv2.GaussianBlur(noise, (0, 0), 6)
    return 40 * texture / texture.std()


def view(whole, place=(1, 0, 1, 0)):
    """float32 [96, 96]: the texture's middle third, seen at a place, by scipy.

    What lies at `place` x of this view lies at x of the plain view.
    """
    sx, x, sy, y = place
    columns = 143.5 + SIDE * (AT - x) / sx
    rows = 143.5 + SIDE * (AT - y) / sy
    grid = np.meshgrid(rows, columns, indexing="ij")
    return map_coordinates(whole, grid, order=3).astype(np.float32)


PLACES = [
    (1, 0, 1, 0),
    (1.05, 0.025, 1, 0),
    (1.05, -0.025, 0.95, 0.025),
    (0.92, 0, 1.08, 0.02),
]


@pytest.mark.parametrize("place", PLACES)
def test_steps_find_the_place(place):
    whole = texture(0)
    pictures = view(whole)[None], view(whole, place)[None]
    found = HERE + np.array([[0.01, -0.01, -0.01, 0.01]], np.float32)
    found += np.array([place]) - HERE
    for _ in range(4):
        weight = np.ones_like(pictures[0])
        found = registration._step(pictures[0], weight, pictures[1], found)
    # Interpolation is linear here: a third of a pixel's thousandth of a side.
    np.testing.assert_allclose(found[0], place, atol=0.003)


def test_agreement_of_copies_and_others():
    wholes = [texture(seed) for seed in range(len(PLACES))]
    templates = np.stack([view(whole) for whole in wholes])
    copies = np.stack([view(w, p) for w, p in zip(wholes, PLACES, strict=True)])
    start = np.array(PLACES, np.float32) + [0.015, -0.01, -0.015, 0.01]
    assert register(templates, copies, start).min() > 0.95
    assert register(templates, copies[::-1], start).max() == 0
    # The pairs are compared one by one.
    alone = register(templates[1:2], copies[1:2], start[1:2])
    np.testing.assert_allclose(
        alone, register(templates, copies, start)[1:2], atol=1e-4
    )


@pytest.mark.parametrize("side", sorted(registration._TILES))
def test_sums_of_tiles(side):
    rng = np.random.default_rng(side)
    pictures = rng.normal(size=(5, side, side))
    x, y = rng.integers(0, 2, (2, 5, side))
    tiles = registration._TILES[side]
    inside = pictures * x[:, None, :] * y[:, :, None]
    cells = inside.reshape(5, tiles, side // tiles, tiles, side // tiles)
    np.testing.assert_allclose(
        registration._tile_sums(
            *(a.astype(np.float32) for a in (pictures, x, y)),
        ),
        cells.sum((2, 4)).reshape(5, -1),
        atol=1e-4,
    )


def test_a_spoiled_part_does_not_speak_against_a_copy():
    template = view(texture(0))[None]
    labelled = template.copy()
    labelled[:, :24, :60] = view(texture(1))[:24, :60]
    empty = template.copy()
    empty[:, 40:] = 0  # saturated there
    whole_correlation = np.corrcoef(template.ravel(), empty.ravel())[0, 1]
    assert whole_correlation < 0.75
    assert register(template, labelled, HERE)[0] > THRESHOLD
    assert register(template, empty, HERE)[0] > THRESHOLD
    blank = np.zeros_like(template)
    assert register(template, blank, HERE)[0] == 0
    assert register(blank, blank, HERE)[0] == 0


def test_agreement_is_the_quantile_of_the_tiles():
    rng = np.random.default_rng(0)
    one, two = texture(0)[:SIDE, :SIDE], texture(1)[:SIDE, :SIDE]
    share = np.linspace(0, 1, SIDE)[:, None]
    mixed = share * one + (1 - share) * two
    weights = rng.uniform(0.2, 1, (2, SIDE, SIDE))
    weight = weights[0] * weights[1]
    inside = np.zeros((SIDE, SIDE), bool)
    inside[4:-4, 4:-4] = True
    values, totals = [], []
    for top in range(0, SIDE, 8):
        for left in range(0, SIDE, 8):
            tile = slice(top, top + 8), slice(left, left + 8)
            part = inside[tile]
            pair = np.stack([one[tile][part], mixed[tile][part]])
            cov = np.cov(pair, aweights=weight[tile][part])
            values.append(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))
            totals.append(weight[tile][part].sum())
    order = np.argsort(values)
    below = np.cumsum(np.array(totals)[order]) / np.sum(totals)
    expected = np.array(values)[order][np.searchsorted(below, 0.4)]
    found = registration._agreement(
        *(a[None].astype(np.float32) for a in (one, weights[0], mixed, weights[1])),
        HERE,
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert 0.1 < expected < 0.9
