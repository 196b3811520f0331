"""Boxes and zones against numpy, on masks whose lungs are rectangles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_jax.models import lung_boxes


def two_lungs(height=60, width=80):
    """[1, 60, 80]: lungs of rows 10 to 50, columns 8 to 30 and 44 to 72."""
    mask = np.zeros((1, height, width), np.float32)
    mask[0, 10:50, 8:30] = mask[0, 10:50, 44:72] = 1
    return mask


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0.015625, 5, width=32), min_size=2, max_size=30),
    st.floats(0.02, 0.98),
)
def test_quantile_is_the_interpolated_inverse_of_the_cumulative_sum(mass, share):
    mass = np.array(mass, np.float32)
    steps = np.concatenate([[0], mass.cumsum(dtype=np.float64)])
    wanted = np.interp(share * steps[-1], steps, np.arange(len(steps)))
    found = float(lung_boxes.quantile(mass[None], share)[0])
    assert found == pytest.approx(wanted, abs=2e-3)


def test_boxes_of_rectangles_are_their_sides():
    found = lung_boxes.boxes(two_lungs())
    assert float(found.top[0]) == pytest.approx(10 / 60, abs=0.02)
    assert float(found.bottom[0]) == pytest.approx(50 / 60, abs=0.02)
    np.testing.assert_allclose(found.left[0], [8 / 80, 44 / 80], atol=0.01)
    np.testing.assert_allclose(found.right[0], [30 / 80, 72 / 80], atol=0.01)


def test_one_lung_lost_at_its_base_keeps_the_height_of_the_other():
    mask = two_lungs()
    mask[0, 30:50, 8:30] = 0
    found = lung_boxes.boxes(mask)
    assert float(found.bottom[0]) == pytest.approx(50 / 60, abs=0.02)


def test_specks_do_not_move_a_box():
    mask = two_lungs()
    mask[0, 0, :2] = mask[0, -1, -3:] = 1
    np.testing.assert_allclose(
        np.concatenate([np.ravel(each) for each in lung_boxes.boxes(mask)]),
        np.concatenate([np.ravel(each) for each in lung_boxes.boxes(two_lungs())]),
        atol=0.01,
    )


def test_a_film_without_lungs_has_the_whole_image():
    found = lung_boxes.boxes(np.zeros((1, 40, 40), np.float32))
    edges = [float(x) for x in (found.top[0], found.bottom[0])]
    assert edges == pytest.approx([0.01, 0.99], abs=1e-3)
    assert np.asarray(found.left)[0] == pytest.approx([0.005, 0.505], abs=1e-2)


def test_boxes_of_a_mirrored_mask_are_mirrored():
    rng = np.random.default_rng(0)
    mask = np.clip(two_lungs() - rng.uniform(0, 0.3, (1, 60, 80)), 0, 1)
    mask = mask.astype(np.float32)
    one, other = lung_boxes.boxes(mask), lung_boxes.boxes(mask[:, :, ::-1])
    np.testing.assert_allclose(one.top, other.top, atol=1e-5)
    np.testing.assert_allclose(one.left, 1 - other.right[:, ::-1], atol=1e-4)


def test_zones_average_thirds_of_each_lung():
    image = np.random.default_rng(1).normal(size=(1, 60, 80, 2)).astype(np.float32)
    ends = [np.array([x], np.float32) for x in (0.1, 0.7)]
    sides = [np.array([x], np.float32) for x in ([0.1, 0.6], [0.4, 0.9])]
    weights = lung_boxes.zones(lung_boxes.Boxes(*ends, *sides), 60, 80)
    assert weights.shape == (1, 6, 60, 80)
    np.testing.assert_allclose(np.sum(weights, (2, 3)), 1, atol=1e-5)
    found = lung_boxes.average(weights, image)
    wanted = [
        image[0, top : top + 12, left : left + 24].mean((0, 1))
        for left in (8, 48)
        for top in (6, 18, 30)
    ]
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)


def test_weights_of_the_lung_leave_out_what_is_not_lung():
    weights = np.full((1, 1, 4, 4), 1 / 16, np.float32)
    lung = np.zeros((1, 4, 4), np.float32)
    lung[0, :2] = 1
    found = np.asarray(lung_boxes.of_lung(weights, lung))
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert found[0, 0, 2:].sum() == pytest.approx(0.001, abs=2e-4)


def test_a_cut_pixel_counts_with_its_part():
    found = lung_boxes.cover(np.float32([0.25]), np.float32([0.625]), 4)
    np.testing.assert_allclose(found, [[0, 2 / 3, 1 / 3, 0]], atol=1e-6)
