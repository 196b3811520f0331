import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as sk

from cxr_jax.metrics import (
    brixia_metrics,
    constant_median,
    constant_median_metrics,
)
from cxr_jax.metrics.brixia import rounded
from cxr_jax.rng import generator
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import ZONES


@pytest.fixture(name="split")
def fixture_split():
    g = generator(0, "severity")
    target = g.integers(0, 4, (50, 6))
    logits = g.normal(size=(50, 6, 4)) + 2 * np.eye(4)[target]
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return target, probs @ np.arange(4), probs, np.repeat(np.arange(25), 2)


def kappa(x, y, levels):
    return sk.cohen_kappa_score(x, y, labels=range(levels), weights="quadratic")


def test_values_against_scikit_learn_and_scipy(split):
    target, expected, probs, patients = split
    metrics = brixia_metrics(target, expected, probs, patients, 50)
    level = np.floor(expected + 0.5)
    total, expected_total = target.sum(1), expected.sum(1)
    flat, flat_expected = target.ravel(), expected.ravel()
    error = flat_expected - flat
    rps = [
        scipy.stats.energy_distance(range(4), [y], u_weights=p) ** 2 / 2
        for y, p in zip(flat, probs.reshape(-1, 4), strict=True)
    ]
    wanted = {
        "mae_zone": sk.mean_absolute_error(flat, flat_expected),
        "mae_global": sk.mean_absolute_error(total, expected_total),
        "sd_zone": np.std(error),
        "sd_global": np.std(expected_total - total),
        "pearson_zone": scipy.stats.pearsonr(flat, flat_expected)[0],
        "pearson_global": scipy.stats.pearsonr(total, expected_total)[0],
        "kappa_zone": kappa(flat, level.ravel(), 4),
        "kappa_global": kappa(total, np.floor(expected_total + 0.5), 19),
        "exact_zone": sk.accuracy_score(flat, level.ravel()),
        "within_one_zone": np.mean(np.abs(level - target) <= 1),
        "rps_zone": np.mean(rps),
    }
    for z, zone in enumerate(ZONES):
        wanted[f"mae_zone_{zone}"] = sk.mean_absolute_error(
            target[:, z], expected[:, z]
        )
    assert {name: m.value for name, m in metrics.items()} == pytest.approx(wanted)
    for name, m in metrics.items():
        assert m.lo < m.value < m.hi, name
        assert (m.n, m.reason) == (50, ""), name


def test_deterministic_and_seeded(split):
    first = brixia_metrics(*split, 50)
    assert brixia_metrics(*split, 50) == first
    other = brixia_metrics(*split, 50, seed=1)
    assert other["mae_zone"].value == first["mae_zone"].value
    assert other["mae_zone"].lo != first["mae_zone"].lo


def test_halves_round_up_and_stay_in_range():
    scores = [-0.4, 0.49, 0.5, 1.5, 2.5, 3.4]
    assert rounded(scores, 3).tolist() == [0, 0, 1, 2, 3, 3]


def test_a_perfect_prediction(split):
    target = split[0]
    metrics = brixia_metrics(target, target, np.eye(4)[target], split[3], 50)
    ones = {"pearson_zone", "pearson_global", "kappa_zone", "kappa_global"}
    ones |= {"exact_zone", "within_one_zone"}
    for name, m in metrics.items():
        assert m.value == pytest.approx(1.0 if name in ones else 0.0, abs=1e-12), name
        assert np.isnan(m.lo), name
        assert m.reason == "no interval: all resamples are alike"


def test_constant_median(split):
    target, _, _, patients = split
    train = np.array([[0, 1, 3, 0, 2, 3], [0, 1, 3, 1, 2, 3]])
    medians = constant_median(train)
    assert medians.tolist() == [0, 1, 3, 0.5, 2, 3]
    metrics = constant_median_metrics(target, medians, patients, 50)
    assert metrics["mae_zone"].value == pytest.approx(np.abs(target - medians).mean())
    assert metrics["mae_global"].value == pytest.approx(
        np.abs(target.sum(1) - 9.5).mean()
    )
    # Half the probability on 0 and on 1: (1/2)^2 where the target is 0 or 1, else
    # the distance from there, 1 + 1/4 or 2 + 1/4; elsewhere |target - median|.
    rps = np.abs(target - medians)
    rps[:, 3] = np.array([0.25, 0.25, 1.25, 2.25])[target[:, 3]]
    assert metrics["rps_zone"].value == pytest.approx(rps.mean())
    same = metrics["pearson_global"]
    assert np.isnan(same.value)
    assert same.reason == "the target or the prediction is constant"
    assert np.isfinite(metrics["pearson_zone"].value)  # the zones' medians differ


def test_no_images():
    metrics = brixia_metrics(
        np.zeros((0, 6), int), np.zeros((0, 6)), np.zeros((0, 6, 4)), [], 10
    )
    for m in metrics.values():
        assert np.isnan(m.value) and m.n == 0 and m.reason == "no images"


def test_bad_arrays_are_named(split):
    target, expected, probs, patients = split
    broken = expected.copy()
    broken[7, 2] = np.nan
    with pytest.raises(InputError, match="1 of 50 images.*first number 7"):
        brixia_metrics(target, broken, probs, patients)
    with pytest.raises(ValueError, match="target holds -1"):
        brixia_metrics(target - 1, expected, probs, patients)
    with pytest.raises(ValueError, match=r"probs has shape \(50, 6, 3\)"):
        brixia_metrics(target, expected, probs[..., :3], patients)
    with pytest.raises(ValueError, match="patient_ids has shape"):
        brixia_metrics(target, expected, probs, patients[:9])
