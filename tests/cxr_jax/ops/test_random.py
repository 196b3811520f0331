"""Random ops: their effect on images with a known answer, and their draws."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cxr_jax.ops import make_preprocess
from tfds_builders.common.errors import InputError

MANY = 400
SIDE = 24


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


@functools.cache
def compiled(text):
    return jax.jit(make_preprocess(f"to_float|{text}", train=True))


def run(text, batch, seed=0):
    out = compiled(text)(batch, jax.random.key(seed))
    return {name: np.asarray(value) for name, value in out.items()}


def noise(count, height=12, width=10, seed=0):
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (count, height, width, 1), dtype=np.uint8)


def is_uniform(values, low, high):
    """Kolmogorov-Smirnov; the keys are fixed, so this always passes or always fails."""
    assert values.min() >= low - 1e-3
    assert values.max() <= high + 1e-3
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.01


def recovered_matrices(arguments):
    """The matrices [MANY,2,3] that `affine` applied, read off two grey ramps.

    An image whose grey is its row (and one whose grey is its column) shows, after
    resampling, where each pixel came from.
    """
    step = 65535 // SIDE
    ramp = (np.arange(SIDE) * step).astype(np.uint16)
    rows, columns = np.meshgrid(ramp, ramp, indexing="ij")
    image = np.broadcast_to(np.stack([rows, columns], -1), (MANY, SIDE, SIDE, 2))
    out = run(f"affine({arguments})", {"image": image})["image"] * (65535 / step)
    index = np.stack(np.meshgrid(*[np.arange(SIDE)] * 2, indexing="ij"), -1)
    matrices = []
    for source in out.astype(np.float64):
        # Not those that came from outside, where the edge is repeated.
        inside = ((source > 0.01) & (source < SIDE - 1.01)).all(axis=-1)
        design = np.column_stack([index[inside], np.ones(inside.sum())])
        matrices.append(np.linalg.lstsq(design, source[inside], rcond=None)[0].T)
    return np.array(matrices)


CENTRE = (SIDE - 1) / 2


def test_affine_rotates_about_the_centre():
    m = recovered_matrices("rotate=30")
    angle = np.degrees(np.arctan2(m[:, 1, 0], m[:, 0, 0]))
    assert is_uniform(angle, -30, 30)
    np.testing.assert_allclose(np.linalg.det(m[:, :, :2]), 1, atol=1e-3)
    np.testing.assert_allclose(m[:, 0, 1], -m[:, 1, 0], atol=1e-3)
    fixed = m @ np.array([CENTRE, CENTRE, 1])
    np.testing.assert_allclose(fixed, CENTRE, atol=1e-2)


def test_affine_shifts_by_a_fraction_of_the_side():
    m = recovered_matrices("shift=0.2")
    np.testing.assert_allclose(m[:, :, :2], np.eye(2)[None].repeat(MANY, 0), atol=1e-3)
    for axis in (0, 1):
        assert is_uniform(m[:, axis, 2] / SIDE, -0.2, 0.2)
    assert abs(np.corrcoef(m[:, :, 2].T)[0, 1]) < 0.15


def test_affine_zooms_each_axis_separately():
    m = recovered_matrices("zoom=0.3")
    zoom = m[:, [0, 1], [0, 1]]
    for axis in (0, 1):
        assert is_uniform(zoom[:, axis], 0.7, 1.3)
    assert abs(np.corrcoef(zoom.T)[0, 1]) < 0.15
    np.testing.assert_allclose(m[:, [0, 1], [1, 0]], 0, atol=1e-3)


def test_affine_shears_in_degrees():
    m = recovered_matrices("shear=20")
    assert is_uniform(np.degrees(np.arctan2(-m[:, 0, 1], m[:, 1, 1])), -20, 20)
    np.testing.assert_allclose(m[:, :, 0], [[1, 0]] * MANY, atol=1e-3)


def test_affine_without_limits_is_the_identity_and_zero_fills_with_black():
    image = noise(4)
    out = run("affine()", {"image": image})["image"]
    np.testing.assert_allclose(out, image / 255, atol=1e-6)
    white = np.full((40, 12, 12, 1), 255, np.uint8)
    out = run("affine(shift=0.5, fill='zero')", {"image": white})["image"]
    assert (out.min(axis=(1, 2, 3)) == 0).mean() > 0.8


def zone_picture(scores):
    """Images [B,6,4,1] whose six zones (A-C down the left) show their score."""
    zones = np.asarray(scores, np.uint8).reshape(-1, 2, 3)  # lung, height
    return zones.transpose(0, 2, 1).repeat(2, axis=1).repeat(2, axis=2)[..., None] * 50


def zones_of(image):
    """The scores that a zone image shows."""
    shown = np.rint(image[:, ::2, ::2, 0] * 255 / 50).astype(int)
    return shown.transpose(0, 2, 1).reshape(-1, 6)


@pytest.mark.parametrize("op", ["flip_lr", "flip_ud"])
def test_flips_keep_image_and_labels_together(op):
    draw = np.random.default_rng(0)
    scores = draw.integers(0, 4, (64, 6)).astype(np.int32)
    mean = (scores + draw.random((64, 6))).astype(np.float32)
    mean[::5] = np.nan  # no consensus for these
    batch = {
        "image": zone_picture(scores),
        "scores": scores,
        "consensus_mean": mean,
        "consensus_mode": scores.astype(np.int32) - 1,
        "label": np.arange(64),
    }
    out = run(op, batch)
    np.testing.assert_array_equal(zones_of(out["image"]), out["scores"])
    np.testing.assert_array_equal(out["consensus_mode"], out["scores"] - 1)
    np.testing.assert_array_equal(np.floor(out["consensus_mean"])[1], out["scores"][1])
    seen = ~np.isnan(out["consensus_mean"])
    assert (seen.all(axis=1) == (np.arange(64) % 5 > 0)).all()
    np.testing.assert_array_equal(
        np.floor(out["consensus_mean"][seen]), out["scores"][seen]
    )
    np.testing.assert_array_equal(out["label"], batch["label"])
    for name in ("scores", "consensus_mean", "consensus_mode"):
        assert out[name].dtype == batch[name].dtype
    changed = (out["scores"] != scores).any(axis=1).mean()
    assert 0.25 < changed < 0.75


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["flip_lr", "flip_ud"]), st.integers(0, 2**31))
def test_flipping_twice_is_the_identity_including_labels(op, seed):
    image = noise(5, seed=seed)
    scores = np.random.default_rng(seed).integers(0, 4, (5, 6)).astype(np.int32)
    batch = {"image": image, "scores": scores}
    once = run(f"{op}(1)", batch)
    axis = {"flip_lr": 2, "flip_ud": 1}[op]
    np.testing.assert_allclose(once["image"], np.flip(image, axis) / 255, atol=1e-6)
    swap = {"flip_lr": "DEFABC", "flip_ud": "CBAFED"}[op]
    columns = ["ABCDEF".index(zone) for zone in swap]
    np.testing.assert_array_equal(once["scores"], scores[:, columns])
    twice = run(f"{op}(1)|{op}(1)", batch)
    np.testing.assert_allclose(twice["image"], image / 255, atol=1e-6)
    np.testing.assert_array_equal(twice["scores"], scores)


def test_flip_probability():
    scores = np.tile(np.arange(6, dtype=np.int32), (MANY, 1))
    batch = {"image": noise(MANY, 2, 2), "scores": scores}
    for p in (0.0, 0.2, 1.0):
        flipped = (run(f"flip_lr({p})", batch)["scores"][:, 0] == 3).sum()
        assert stats.binomtest(int(flipped), MANY, p).pvalue > 0.01


@pytest.mark.parametrize(
    ("arguments", "low", "high"), [("0.2", 0.8, 1.2), ("lo=0.2, hi=1.0", 0.2, 1.0)]
)
def test_brightness_multiplies(arguments, low, high):
    image = noise(MANY, 4, 4) // 2 + 20  # stays below white: nothing to clip
    out = run(f"brightness({arguments})", {"image": image})["image"]
    factor = out / (image / 255)
    assert np.ptp(factor, axis=(1, 2, 3)).max() < 1e-4
    assert is_uniform(factor[:, 0, 0, 0], low, high)


@pytest.mark.parametrize(
    ("arguments", "low", "high"), [("0.3", 0.7, 1.3), ("lo=0.5, hi=0.9", 0.5, 0.9)]
)
def test_contrast_stretches_about_the_mean(arguments, low, high):
    image = noise(MANY, 4, 4) // 4 + 90
    unit = image / 255
    out = run(f"contrast({arguments})", {"image": image})["image"]
    mean = unit.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3), keepdims=True), mean, atol=1e-5)
    factor = out.std(axis=(1, 2, 3)) / unit.std(axis=(1, 2, 3))
    assert is_uniform(factor, low, high)
    expected = mean + factor[:, None, None, None] * (unit - mean)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_values_stay_between_black_and_white():
    text = "affine(rotate=90, shift=0.3, zoom=0.5, shear=40)|brightness(1)|contrast(1)"
    out = run(f"{text}|erase(0.5)|flip_lr|flip_ud", {"image": noise(64)})["image"]
    assert out.min() >= 0
    assert out.max() <= 1
    assert out.min() < 0.05  # and they do use the range
    assert out.max() > 0.95


def test_erase_paints_one_rectangle_with_the_mean():
    side = 40
    # Two greys, so that the mean of either lies far from both.
    image = np.zeros((MANY, side, side, 1), np.uint8)
    image[:, ::2] = 255
    out = run("erase(0.3, p=0.75)", {"image": image})["image"][..., 0]
    painted = np.isclose(out, 0.5)
    np.testing.assert_array_equal(out[~painted], (image[..., 0] / 255)[~painted])
    count = painted.sum(axis=(1, 2))
    assert stats.binomtest(int((count > 0).sum()), MANY, 0.75).pvalue > 0.01
    areas, aspects = [], []
    for mask in painted[count > 0]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert mask.sum() == height * width
        areas.append(height * width / side**2)
        aspects.append(np.log(height / width))
    # Sides are whole pixels: the limits, give or take one pixel of a side.
    assert 0.01 < min(areas) < 0.05
    assert 0.26 < max(areas) < 0.33
    assert abs(np.mean(areas) - 0.16) < 0.015
    assert abs(np.mean(aspects)) < 0.1
    assert np.log(2.5) < max(aspects) < np.log(4.3)
    # It reaches every row and every column.
    assert painted.any(axis=(0, 2)).all()
    assert painted.any(axis=(0, 1)).all()


def test_erase_uses_the_mean_of_its_own_image_and_channel():
    image = np.zeros((3, 8, 8, 2), np.uint8)
    image[..., 1] = 255
    image[:, ::2, :, 0] = np.array([50, 100, 200], np.uint8).reshape(3, 1, 1)
    out = run("erase(0.5, p=1)", {"image": image})["image"]
    for i, grey in enumerate((50, 100, 200)):
        shown = np.unique(np.rint(out[i, ..., 0] * 255 * 2))
        assert set(shown) <= {0, grey, 2 * grey}
        assert grey in shown
    np.testing.assert_array_equal(out[..., 1], 1)


def test_brightness_that_stretches_as_keras_did():
    """array_to_img(scale=True): less the least, by the most; then the factor."""
    image = (noise(3, 8, 8) // 4 + 60).astype(np.uint8)
    image[2] = 90
    out = run("brightness(lo=0.5, hi=0.5, stretch=True)", {"image": image})["image"]
    part = image[:2].astype(float)
    part -= part.min((1, 2, 3), keepdims=True)
    wanted = part / part.max((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(out[:2], 0.5 * wanted, atol=1e-6)
    np.testing.assert_array_equal(out[2], 0)
    with pytest.raises(InputError, match="stretch"):
        run("brightness(0.1, stretch=2)", {"image": image})
