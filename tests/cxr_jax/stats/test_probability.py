"""Calibration against scikit-learn, scipy and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn import metrics as sk

from cxr_jax.rng import generator
from cxr_jax.stats import probability

cases = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 9999)


def draw(seed, n=80):
    g = generator(seed, "probability")
    odds = g.normal(0, 1.5, n)
    positive = g.random(n) < special.expit(0.7 * odds + 0.3)
    positive[:2] = True, False
    weights = g.integers(0, 3, (3, n)).astype(float)
    weights[:, :2] += 1
    weights[0] = 1
    return positive, special.expit(odds), weights


@cases
@given(seed=seeds)
def test_brier(seed):
    positive, probs, weights = draw(seed)
    both = np.stack([1 - probs, probs], axis=1)
    expected = [sk.brier_score_loss(positive, probs, sample_weight=w) for w in weights]
    found = probability.brier(positive.astype(int), both, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_brier_of_three_classes():
    probs = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    found = probability.brier(np.array([0, 2]), probs, np.ones((1, 2)))
    assert found == pytest.approx((0.25 + 0.09 + 0.04 + 0.01 + 0.01 + 0.04) / 2)


@cases
@given(seed=seeds)
def test_slope_and_intercept_are_the_likeliest(seed):
    positive, probs, weights = draw(seed)
    odds = special.logit(probs)
    slopes = probability.calibration_slope(positive, probs, weights)
    shifts = probability.calibration_intercept(positive, probs, weights)
    for row, slope, shift in zip(weights, slopes, shifts, strict=True):

        def loss(line, row=row):
            z = line[0] + line[1] * odds
            return (row * (np.logaddexp(0, z) - positive * z)).sum()

        best = optimize.minimize(loss, [0.0, 1.0], tol=1e-10)
        np.testing.assert_allclose(slope, best.x[1], atol=1e-4)
        best = optimize.minimize(lambda x, f=loss: f([x[0], 1.0]), [0.0], tol=1e-10)
        np.testing.assert_allclose(shift, best.x[0], atol=1e-4)


def test_separated_classes_have_no_slope():
    positive, probs = np.array([False, False, True, True]), np.array([0.1, 0.2, 0.8, 1])
    assert np.isnan(probability.calibration_slope(positive, probs, np.ones((1, 4))))


def test_the_calibration_error_of_known_bins():
    """15 bins of 240 images: said 0.01, 0.06, ..; right every second time."""
    confidence = np.repeat(np.arange(15) * 0.05 + 0.01, 240)
    correct = np.tile([True, False], 1800)
    expected = np.abs(confidence - 0.5).mean()
    found = probability.calibration_error(correct, confidence)
    assert found == pytest.approx(expected)


def test_equal_confidences_share_a_bin():
    """A constant that is right on average has no error, whatever the order."""
    correct = np.r_[np.ones(30, bool), np.zeros(70, bool)]
    found = probability.calibration_error(correct, np.full(100, 0.3))
    assert found == pytest.approx(0, abs=1e-12)


def test_as_many_bins_as_the_cases_bear():
    assert [probability.bins(n) for n in (1, 20, 60, 1000, 10**5)] == [2, 3, 4, 10, 15]


def calibrated(g, patients, images=1, off=0.0):
    """(right or not, confidence, patient): all images of a patient share a label."""
    confidence = np.repeat(g.uniform(0.05, 0.95, patients), images)
    right = np.repeat(g.random(patients), images) < np.clip(confidence + off, 0, 1)
    return right, confidence, np.repeat(np.arange(patients), images)


@pytest.mark.parametrize("images", [1, 4])
def test_a_calibrated_model_lies_in_the_range_of_one(images):
    """In 95 % of 200 sets of 60 patients: 0.95 +- 3 x 0.0154."""
    g, inside = generator(images, "calibrated"), 0
    for k in range(200):
        right, confidence, patient = calibrated(g, 60, images)
        drawn = probability.calibrated_errors(right, confidence, patient, 200, k)
        low, high = np.quantile(drawn, (0.025, 0.975))
        inside += low <= probability.calibration_error(right, confidence) <= high
    assert 0.90 <= inside / 200 <= 1


def test_a_model_that_is_wrong_lies_above_that_range():
    right, confidence, patient = calibrated(generator(0, "off"), 300, off=-0.3)
    drawn = probability.calibrated_errors(right, confidence, patient, 200)
    assert probability.calibration_error(right, confidence) > 1.5 * drawn.max()


@pytest.mark.parametrize("images", [1, 4])
@pytest.mark.parametrize("off", [0.0, 0.03])
def test_the_mean_square_gap_is_unbiased(images, off):
    """Over 800 sets, within 3 standard errors of the true one; the plain square is not."""
    g, found, plain = generator(images, "gap"), [], []
    for _ in range(800):
        right, confidence, patient = calibrated(g, 40, images, off)
        found.append(probability.mean_square_gap(right, confidence, patient))
        place, gap = probability.binned(right, confidence)
        sums = np.bincount(place, gap) / np.bincount(place)
        plain.append(np.average(sums**2, weights=np.bincount(place)))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - off**2) < 3 * error
    assert np.mean(plain) - off**2 > 10 * error


def test_net_benefit_of_all_and_none():
    positive = np.array([True, True, False, False, False])
    ones, weights = np.ones(5), np.ones((1, 5))
    all_treated = probability.net_benefit(positive, ones, 0.2, weights)
    assert all_treated == pytest.approx(0.4 - 0.6 * 0.2 / 0.8)
    assert probability.net_benefit(positive, 0 * ones, 0.2, weights) == 0
