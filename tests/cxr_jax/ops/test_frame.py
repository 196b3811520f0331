"""Frames against plain matrices in homogeneous coordinates, and moved images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from cxr_jax.ops import frame, geometry
from cxr_jax.rng import generator


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def draw(count=6, name="frames"):
    noise = generator(0, name).uniform(-0.4, 0.4, (count, 2, 3))
    return (frame.IDENTITY + noise).astype(np.float32)


def homogeneous(one):
    return np.concatenate([one, [[0, 0, 1]]]).astype(np.float64)


def to_pixels(shape):
    """(x, y, 1) in -1 .. 1 -> (row, column, 1), from the positions of centres."""
    height, width = shape
    return np.array([[0, height / 2, (height - 1) / 2], [width / 2, 0, (width - 1) / 2],
                     [0, 0, 1]])  # fmt: skip


def test_frame_of_a_matrix_is_the_change_of_coordinates():
    shape = (20, 31)
    matrix = generator(0, "m").normal(size=(5, 2, 3)).astype(np.float32)
    found = np.asarray(frame.of_matrix(jnp.asarray(matrix), shape))
    change = to_pixels(shape)
    for one, mine in zip(matrix, found, strict=True):
        expected = np.linalg.inv(change) @ homogeneous(one) @ change
        np.testing.assert_allclose(mine, expected[:2], atol=1e-5)


def test_compose_and_inverse_match_matrices():
    one, other = draw(name="one"), draw(name="other")
    found = np.asarray(frame.compose(one, other))
    back = np.asarray(frame.inverse(one))
    for a, b, c, d in zip(one, other, found, back, strict=True):
        np.testing.assert_allclose(c, (homogeneous(a) @ homogeneous(b))[:2], atol=1e-6)
        np.testing.assert_allclose(d, np.linalg.inv(homogeneous(a))[:2], atol=1e-5)


@pytest.mark.parametrize("axis, flip", [(2, (-1, 1, 1)), (1, (1, -1, 1))])
def test_turned_over_is_conjugation_with_the_flip(axis, flip):
    turned = np.asarray(frame.turned_over(draw(), axis))
    for one, mine in zip(draw(), turned, strict=True):
        expected = np.diag(flip) @ homogeneous(one) @ np.diag(flip)
        np.testing.assert_allclose(mine, expected[:2], atol=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_around_matches_the_bounding_box_of_scipy(margin):
    shape = (30, 40)
    mask = np.zeros((3, *shape, 1), np.float32)
    mask[0, 5:9, 7:31] = 1
    mask[0, 20, 12] = 0.6
    mask[1, 3, 4] = 1
    for one, found in zip(mask[:2], frame.around(jnp.asarray(mask), margin)[:2],
                          strict=True):  # fmt: skip
        rows, columns = ndimage.find_objects((one[..., 0] > 0.5).astype(int))[0]
        for axis, (part, side) in enumerate(((columns, 40), (rows, 30))):
            length = part.stop - part.start
            np.testing.assert_allclose(
                found[axis, axis], length / side * (1 + 2 * margin), rtol=1e-5
            )
            middle = (part.start + part.stop) / side - 1
            np.testing.assert_allclose(found[axis, 2], middle, atol=1e-6)
        assert found[0, 1] == found[1, 0] == 0
    np.testing.assert_array_equal(frame.around(mask, margin)[2], frame.IDENTITY)


def test_corner_distance_is_the_mean_over_corners():
    one, other = draw(name="one"), draw(name="other")
    found = np.asarray(frame.corner_distance(one, other))
    corners = np.array([(x, y, 1) for x in (-1, 1) for y in (-1, 1)])
    for a, b, distance in zip(one, other, found, strict=True):
        apart = np.linalg.norm((a - b) @ corners.T, axis=0).mean() / 2
        assert distance == pytest.approx(apart, rel=1e-5)
    same = jax.grad(lambda f: frame.corner_distance(f, one).sum())(jnp.asarray(one))
    assert np.isfinite(same).all()


def test_rotation_is_the_angle_that_an_image_was_rotated_by():
    angles = np.array([0.0, 10.0, -25.0], np.float32)
    zeros = np.zeros((3, 2), np.float32)
    matrix = geometry.affine_matrix(
        (64, 64), np.radians(angles), zeros, zeros + 1, zeros[:, 0]
    )
    found = np.asarray(frame.rotation(frame.of_matrix(matrix, (64, 64))))
    np.testing.assert_allclose(np.abs(found), np.abs(angles), atol=1e-4)
    assert np.sign(found[1]) == -np.sign(found[2])
