"""The affine sampler and its matrices against SciPy, OpenCV and plain matrices."""

import cv2
import jax
import numpy as np
import pytest
from scipy import ndimage

from cxr_jax.ops.geometry import affine_matrix, warp

SHAPE = (23, 31)

# Compiled once: without jit each operation is compiled by itself.
matrices = jax.jit(affine_matrix, static_argnums=0)
warped = jax.jit(warp, static_argnums=2)


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def draws(count=8, seed=0):
    """Rotations, shifts, zooms and shears that sometimes leave the image."""
    draw = np.random.default_rng(seed)
    return {
        "rotate": draw.uniform(-3, 3, count).astype(np.float32),
        "shift": draw.uniform(-8, 8, (count, 2)).astype(np.float32),
        "zoom": draw.uniform(0.5, 1.8, (count, 2)).astype(np.float32),
        "shear": draw.uniform(-1, 1, count).astype(np.float32),
    }


def composed(shape, rotate, shift, zoom, shear):
    """The matrix from its four factors, homogeneous and in float64 [3,3]."""
    cos, sin = np.cos(rotate), np.sin(rotate)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    moving = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    shearing = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zooming = np.diag([zoom[0], zoom[1], 1])
    to_centre, back = np.eye(3), np.eye(3)
    to_centre[:2, 2] = [(side - 1) / 2 for side in shape]
    back[:2, 2] = -to_centre[:2, 2]
    return to_centre @ rotation @ moving @ shearing @ zooming @ back


def test_matrices_are_the_product_of_their_factors():
    values = draws()
    mine = np.asarray(matrices(SHAPE, **values))
    assert mine.shape == (8, 2, 3)
    for i, matrix in enumerate(mine):
        one = {name: value[i].astype(np.float64) for name, value in values.items()}
        np.testing.assert_allclose(matrix, composed(SHAPE, **one)[:2], atol=2e-5)


@pytest.mark.parametrize(
    ("fill", "mode"), [("edge", "nearest"), ("zero", "grid-constant")]
)
def test_warp_matches_scipy(fill, mode):
    matrix = np.asarray(matrices(SHAPE, **draws(seed=1)))
    images = np.random.default_rng(1).random((8, *SHAPE, 3), np.float32)
    mine = np.asarray(warped(images, matrix, fill))
    assert mine.dtype == np.float32
    for image, m, out in zip(images, matrix.astype(np.float64), mine, strict=True):
        for channel in range(3):
            expected = ndimage.affine_transform(
                image[..., channel].astype(np.float64),
                m[:, :2],
                m[:, 2],
                order=1,
                mode=mode,
            )
            np.testing.assert_allclose(out[..., channel], expected, atol=3e-5)


@pytest.mark.parametrize(
    ("fill", "border"), [("edge", cv2.BORDER_REPLICATE), ("zero", cv2.BORDER_CONSTANT)]
)
def test_warp_matches_opencv(fill, border):
    matrix = np.asarray(matrices(SHAPE, **draws(seed=3)))
    images = np.random.default_rng(2).random((8, *SHAPE, 1), np.float32)
    mine = np.asarray(warped(images, matrix, fill))
    for image, m, out in zip(images, matrix, mine, strict=True):
        # OpenCV counts (x, y) where we count (row, column).
        swapped = np.array([[m[1, 1], m[1, 0], m[1, 2]], [m[0, 1], m[0, 0], m[0, 2]]])
        expected = cv2.warpAffine(
            image,
            swapped.astype(np.float64),
            SHAPE[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=border,
        )
        # OpenCV may round coordinates to 1/32 pixel: 1/32 of a step on each axis.
        np.testing.assert_allclose(out[..., 0], expected, atol=2 / 32)
        assert np.abs(out[..., 0] - expected).mean() < 0.01


def test_identity_quarter_turn_and_a_shift_out_of_view():
    image = np.random.default_rng(4).random((9, 9, 1), np.float32)
    images = np.stack([image] * 3)
    matrix = matrices(
        (9, 9),
        rotate=np.array([0, np.pi / 2, 0], np.float32),
        shift=np.array([[0, 0], [0, 0], [1e6, 1e6]], np.float32),
        zoom=np.ones((3, 2), np.float32),
        shear=np.zeros(3, np.float32),
    )
    still, turned, away = np.asarray(warped(images, matrix, "zero"))
    np.testing.assert_allclose(still, image, atol=1e-6)
    # Where the row grows the source column grows: the picture turns clockwise.
    np.testing.assert_allclose(turned, np.rot90(image, -1), atol=1e-5)
    assert not away.any()
    away = np.asarray(warped(images, matrix, "edge"))[2]
    np.testing.assert_allclose(away, np.broadcast_to(image[-1, -1], away.shape))
