"""Contrast enhancement against OpenCV and closed forms."""

import cv2
import jax
import numpy as np
import pytest

from cxr_jax.ops import make_preprocess
from cxr_jax.ops.enhancement import clahe
from tfds_builders.common.errors import InputError


def run(text, image):
    preprocess = jax.jit(make_preprocess(f"to_float|{text}", train=False))
    return np.asarray(preprocess({"image": image})["image"])


def film(shape, seed=0):
    g = np.random.default_rng(seed)
    coarse = g.integers(0, 256, (9, 9)).astype(np.uint8)
    large = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(large + g.integers(-9, 10, shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shape", "clip", "tiles"),
    [((64, 64), 2.0, 8), ((128, 100), 40.0, 8), ((33, 40), 2.0, 4), ((20, 21), 1.0, 1)],
)
def test_clahe_is_that_of_opencv(shape, clip, tiles):
    films = [film(shape, seed) for seed in range(2)]
    out = run(f"clahe({clip}, {tiles})", np.stack(films)[..., None])
    reference = cv2.createCLAHE(clip, (tiles, tiles))
    for one, found in zip(films, out[..., 0], strict=True):
        off = np.abs(255 * found - reference.apply(one))
        # Where the blend lies half-way between two levels, they round differently.
        assert off.max() < 1.01 and (off > 0.01).mean() < 0.01


def test_clahe_treats_channels_alike():
    image = np.repeat(film((32, 32))[None, ..., None], 3, axis=3) / np.float32(255)
    out = np.asarray(clahe()({"image": image})["image"])
    np.testing.assert_array_equal(out[..., 0], out[..., 2])


def test_complement_and_gamma():
    image = film((8, 9))[None, ..., None]
    unit = image / np.float32(255)
    np.testing.assert_allclose(run("complement", image), 1 - unit, atol=1e-7)
    np.testing.assert_allclose(run("gamma(0.5)", image), np.sqrt(unit), atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_bcet_sets_least_greatest_and_mean(seed):
    g = np.random.default_rng(seed)
    image = (255 * g.beta(2, 2 + seed, (1, 40, 30, 1))).astype(np.uint8)
    out = run("bcet", image)
    assert out.min() == pytest.approx(0, abs=1e-5)
    assert out.max() == pytest.approx(1, abs=1e-5)
    # The mean is met unless the parabola had to be cut off.
    assert out.mean() == pytest.approx(110 / 255, abs=1e-3)
    order = np.argsort(image.ravel(), kind="stable")
    assert (np.diff(out.ravel()[order]) > -1e-6).all()


def test_bcet_leaves_a_film_of_one_grey_value():
    image = np.full((1, 8, 8, 1), 90, np.uint8)
    np.testing.assert_allclose(run("bcet", image), 90 / 255, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["gamma(0)", "gamma('a')", "clahe(0)", "clahe(2.0, 0)"]
)
def test_wrong_arguments_are_named(text):
    with pytest.raises(InputError, match=text.partition("(")[0]):
        make_preprocess(f"to_float|{text}", train=False)
