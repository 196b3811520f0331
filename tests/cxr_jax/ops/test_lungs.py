"""Masks and frames follow the image, whatever moves it."""

import jax
import numpy as np
import pytest

from cxr_jax import rng
from cxr_jax.models.alignment import sample
from cxr_jax.ops import frame
from cxr_jax.ops.registry import make_preprocess
from tfds_builders.common.errors import InputError

MOVES = "affine(rotate=25, shift=0.1, zoom=0.1, shear=5)|flip_lr"


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def batch(count=6, side=48):
    """Two ellipses in each image, and the same as a mask."""
    y, x = np.mgrid[:side, :side] / side
    mask = np.zeros((count, side, side, 1), np.uint8)
    for one, at in zip(mask, np.linspace(-0.05, 0.05, count), strict=True):
        left = ((x - 0.33 - at) / 0.12) ** 2 + ((y - 0.5) / 0.3) ** 2 < 1
        right = ((x - 0.65) / 0.14) ** 2 + ((y - 0.5 + at) / 0.25) ** 2 < 1
        one[..., 0] = 255 * (left | right)
    image = mask.astype(np.uint16) * 257
    return {"image": image, "mask": mask}


def prepared(text, train=True, **more):
    ops = make_preprocess(text, train=train)
    key = rng.stream(rng.root(3), "augment") if train else None
    return jax.jit(ops)(batch() | more, key)


@pytest.mark.parametrize(
    "ops", [MOVES, f"{MOVES}|resize(32)", f"resize(40, 24)|{MOVES}|flip_ud(p=0.7)"]
)
def test_a_mask_moves_with_its_image(ops):
    found = prepared(f"to_float|{ops}")
    assert found["mask"].dtype == np.float32
    np.testing.assert_allclose(found["mask"], found["image"], atol=1e-5)
    # And it was moved at all.
    still = prepared("to_float|resize(48)")["mask"]
    assert (
        found["mask"].shape != still.shape or np.abs(found["mask"] - still).max() > 0.5
    )


def test_ops_on_grey_values_leave_the_mask_alone():
    found = prepared(
        "to_float|brightness(0.5)|contrast(0.5)|erase(0.3, p=1)|standardise"
    )
    np.testing.assert_array_equal(found["mask"], batch()["mask"] / 255)


@pytest.mark.parametrize("ops", [MOVES, f"flip_ud(p=0.7)|{MOVES}|resize(96)"])
def test_lungs_keep_their_place_in_the_frame_when_moved(ops):
    still = prepared("to_float|lung_frame(margin=0.1)")
    moved = prepared(f"to_float|lung_frame(margin=0.1)|{ops}")
    upright, found = (
        np.asarray(sample(each["mask"], each["frame"], (48, 48)))
        for each in (still, moved)
    )
    # Turned over, they are the mirror image of what they were.
    for one, other in zip(upright, found, strict=True):
        options = [one, one[:, ::-1], one[::-1], one[::-1, ::-1]]
        assert min(np.abs(other - option).mean() for option in options) < 0.03
    assert np.abs(np.asarray(moved["frame"] - still["frame"])).max() > 0.1


def test_the_frame_is_the_box_with_its_margin():
    found = prepared("to_float|lung_frame(margin=0)")
    for one, mask in zip(found["frame"], batch()["mask"], strict=True):
        rows, columns = (np.flatnonzero(mask[..., 0].any(axis)) for axis in (1, 0))
        edges = [one[i, 2] + sign * one[i, i] for i in (0, 1) for sign in (-1, 1)]
        expected = [columns[0], columns[-1] + 1, rows[0], rows[-1] + 1]
        np.testing.assert_allclose((np.array(edges) + 1) * 24, expected, atol=1e-4)


def test_pose_is_affine_with_the_draws_of_the_batch():
    text = "to_float|lung_frame|pose(rotate=20, shift=0.1)"
    still = prepared(text, train=False, pose=np.zeros((6, 6), np.float32))
    np.testing.assert_allclose(still["image"], batch()["mask"] / 255, atol=1e-5)
    draws = np.zeros((6, 6), np.float32)
    draws[:, 0] = 1.0
    turned = prepared(text, train=False, pose=draws)
    np.testing.assert_allclose(
        np.abs(frame.rotation(turned["frame"])), np.full(6, 20.0), rtol=1e-4
    )
    draws = np.zeros((6, 6), np.float32)
    draws[:, 2] = 1.0  # what is shown comes from a tenth further to the right
    shifted = prepared(text, train=False, pose=draws)
    np.testing.assert_allclose(
        shifted["frame"][:, 0, 2], still["frame"][:, 0, 2] - 0.2, atol=1e-5
    )


@pytest.mark.parametrize(
    "text, gone, message",
    [
        ("to_float|lung_frame", "mask", "config.data.masks"),
        ("to_float|pose(rotate=5)", "pose", "config.task.name=align"),
    ],
)
def test_missing_masks_and_poses_are_named(text, gone, message):
    given = {name: x for name, x in batch().items() if name != gone}
    with pytest.raises(InputError, match=message):
        make_preprocess(text, train=False)(given)


@pytest.mark.parametrize(
    "text, message",
    [
        ("lung_frame|to_float", "needs floats"),
        ("to_float|lung_frame(margin=-1)", "margin must be from 0"),
        ("to_float|pose(rotate=500)", "rotate must be from 0"),
        ("to_float|pose(fill='black')", "fill must be"),
    ],
)
def test_wrong_arguments_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        make_preprocess(text, train=False)
