"""Deterministic ops against PIL, OpenCV, jax.image and closed forms."""

import cv2
import jax
import numpy as np
import pytest
from PIL import Image

from cxr_jax.ops import make_preprocess
from cxr_jax.ops.image import resize_weights


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def run(text, image):
    preprocess = jax.jit(make_preprocess(text, train=False))
    return np.asarray(preprocess({"image": image})["image"])


def noise(shape, dtype=np.uint16, seed=0):
    top = np.iinfo(dtype).max
    draw = np.random.default_rng(seed)
    return draw.integers(0, top, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_to_float_covers_zero_to_one(dtype):
    top = np.iinfo(dtype).max
    image = np.array([0, 1, top // 2, top], dtype).reshape(1, 2, 2, 1)
    out = run("to_float", image)
    assert out.dtype == np.float32
    expected = np.array([0, 1 / top, (top // 2) / top, 1]).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    assert out.max() == 1  # exactly: a clip to [0, 1] has nothing to do


jax_resize = jax.jit(jax.image.resize, static_argnames=("shape", "method", "antialias"))

SIZES = [
    ((37, 53), (16, 16)),
    ((16, 20), (40, 33)),
    ((30, 21), (12, 40)),
    ((5, 7), (1, 1)),
    ((1, 1), (3, 4)),
]


@pytest.mark.parametrize(("size", "target"), SIZES)
def test_resize_matches_pil_and_jax(size, target):
    image = noise((2, *size, 1))
    out = run(f"to_float|resize{target}", image)
    exact = (image / 65535).astype(np.float32)
    assert out.shape == (2, *target, 1)
    for one, mine in zip(exact, out, strict=True):
        pil = Image.fromarray(one[..., 0]).resize(target[::-1], Image.BILINEAR)
        np.testing.assert_allclose(mine[..., 0], np.asarray(pil), atol=2e-6)
    theirs = jax_resize(exact, out.shape, method="linear", antialias=True)
    np.testing.assert_allclose(out, theirs, atol=2e-6)


def test_enlarging_matches_opencv():
    image = noise((1, 13, 17, 1), np.uint8)
    out = run("to_float|resize(29, 40)", image)
    cv = cv2.resize((image[0] / 255).astype(np.float32), (40, 29))
    np.testing.assert_allclose(out[0, ..., 0], cv, atol=1e-6)


def test_resize_treats_channels_alike_and_one_number_means_a_square():
    image = noise((2, 12, 10, 3), np.uint8)
    out = run("to_float|resize(7)", image)
    assert out.shape == (2, 7, 7, 3)
    for channel in range(3):
        alone = run("to_float|resize(7)", image[..., channel : channel + 1])
        np.testing.assert_allclose(out[..., channel : channel + 1], alone, atol=1e-6)


def test_resize_weights_keep_a_constant():
    for size, target in ((299, 128), (128, 299), (2, 1), (512, 511)):
        total = resize_weights(size, target).sum(axis=1)
        np.testing.assert_allclose(total, 1, atol=1e-5)


def test_standardise_is_per_image_and_safe_for_constant_images():
    image = noise((3, 16, 12, 1))
    image[1] = 40_000
    image[2] = image[2] // 64 + 100  # faint, and still a picture
    out = run("to_float|standardise", image)
    for i in (0, 2):
        whole = image[i].astype(np.float64)
        expected = (whole - whole.mean()) / whole.std()
        np.testing.assert_allclose(out[i], expected, atol=2e-3)
    np.testing.assert_allclose(out[1], 0, atol=2e-2)


def test_normalise_with_one_number_or_one_per_channel():
    image = noise((2, 6, 5, 1), np.uint8)
    unit = image / 255
    out = run("to_float|normalise(0.45, std=0.25)", image)
    np.testing.assert_allclose(out, (unit - 0.45) / 0.25, atol=1e-5)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    out = run(f"to_float|to_rgb|normalise({mean}, {std})", image)
    expected = (np.repeat(unit, 3, axis=3) - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("shape, target", [((299, 299), 256), ((37, 64), 50)])
def test_nearest_is_that_of_pil(shape, target):
    image = noise((2, *shape, 1), np.uint8)
    out = run(f"to_float|resize({target}, method='nearest')", image)
    size = (target, target)
    theirs = [Image.fromarray(x[..., 0]).resize(size, Image.NEAREST) for x in image]
    np.testing.assert_array_equal(np.rint(out[..., 0] * 255), np.stack(theirs))


def test_equalise_is_that_of_bs_nets_code():
    """Its steps in NumPy: cumulative counts in steps, shifted by one level."""
    image = (noise((1, 96, 96, 1)) // 4).astype(np.uint16) + 9000
    out = run("to_float|equalise(64)", image)
    levels = (image.astype(np.float32) / 65535 * 63).astype(int)
    counts = np.bincount(levels.ravel(), minlength=64)
    step = (counts.sum() - counts[counts > 0][-1]) // 64
    table = np.concatenate([[0], (np.cumsum(counts) + step // 2) // step])[:-1]
    wanted = np.clip(table, 0, 64)[levels]
    np.testing.assert_allclose(out, wanted / wanted.max(), atol=1e-6)
    assert np.ptp(out) == 1


def test_equalise_leaves_films_that_are_too_small():
    image = noise((2, 8, 8, 1))
    out = run("to_float|equalise", image)
    np.testing.assert_allclose(out.max((1, 2, 3)), 1, atol=1e-6)
    levels = (image / 65535 * 4095).astype(int)
    np.testing.assert_allclose(
        out, levels / levels.max((1, 2, 3), keepdims=True), atol=1e-3
    )


@pytest.mark.parametrize("side", [4, 7, 10, 128, 255])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 1])
def test_crop_middle_keeps_the_middle_of_image_and_mask(side, share):
    image, mask = noise((2, side, 3 * side, 1)), noise((2, side, 3 * side, 1), seed=1)
    preprocess = make_preprocess(f"to_float|crop_middle({share})", train=False)
    found = preprocess({"image": image, "mask": mask})
    for name, whole in (("image", image), ("mask", mask)):
        rows, columns = found[name].shape[1:3]
        # A pixel more or less on either side.
        for kept, length in ((rows, side), (columns, 3 * side)):
            assert kept > 0 and abs(kept - share * length) < 2
        top, left = (side - rows) // 2, (3 * side - columns) // 2
        kept = whole[:, top : top + rows, left : left + columns] / np.float32(65535)
        np.testing.assert_allclose(np.asarray(found[name]), kept, rtol=1e-6)
