from functools import partial

import numpy as np
import pytest
import scipy.stats
from scipy import special
from sklearn.metrics import roc_auc_score

from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate
from cxr_jax.stats.patients import Rests


def mean_estimate(values, patient_ids, resamples=1000):
    return bootstrap.mean(values, bootstrap.weights(patient_ids, resamples))


def test_rows_are_draws_of_whole_patients():
    ids = np.array(["b", "a", "b", "c", "a", "b"])
    counts = bootstrap.weights(ids, resamples=200, seed=1)
    assert counts.shape == (201, 6)
    assert (counts[0] == 1).all()
    for patient in "abc":
        of_patient = counts[:, ids == patient]
        assert (of_patient == of_patient[:, :1]).all()
    one_image_each = counts[:, [0, 1, 3]]
    assert (one_image_each.sum(axis=1) == 3).all()
    # A patient's count over the draws is binomial(3, 1 / 3).
    share = np.bincount(one_image_each[1:].ravel(), minlength=4) / 600
    expected = scipy.stats.binom.pmf(range(4), 3, 1 / 3)
    np.testing.assert_allclose(share, expected, atol=0.06)


def test_the_draw_depends_on_seed_and_patients_not_on_order():
    ids = np.array(["p3", "p1", "p2", "p1"])
    order = [2, 0, 3, 1]
    counts = bootstrap.weights(ids, 50, seed=0)
    np.testing.assert_array_equal(
        counts[:, order], bootstrap.weights(ids[order], 50, seed=0)
    )
    np.testing.assert_array_equal(
        counts, bootstrap.weights([i.encode() for i in ids], 50, seed=0)
    )
    assert not np.array_equal(counts, bootstrap.weights(ids, 50, seed=1))


def test_some_images_are_drawn_from_their_own_patients():
    ids = np.array(["a", "a", "b", "c", "c"])
    whole = bootstrap.draw(ids, 30, seed=2)
    np.testing.assert_array_equal(whole.weights, bootstrap.weights(ids, 30, seed=2))
    np.testing.assert_array_equal(whole.among(np.ones(5, bool)), whole.weights)
    members = ids != "b"
    alone = bootstrap.weights(ids[members], 30, seed=2)
    np.testing.assert_array_equal(whole.among(members), alone)


def test_interval_of_a_mean_equals_scipys_and_the_normal_one():
    values = generator(0, "values").gamma(2.0, size=120)
    ours = mean_estimate(values, np.arange(120), resamples=4000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=0
    ).confidence_interval
    error = values.std() / np.sqrt(120)
    assert ours.value == pytest.approx(values.mean(), rel=1e-12)
    assert ours.n == 120 and ours.reason == ""
    assert ours.lo == pytest.approx(theirs.low, abs=0.15 * error)
    assert ours.hi == pytest.approx(theirs.high, abs=0.15 * error)
    assert ours.hi - ours.lo == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_95_percent_of_the_intervals_hold_the_truth():
    # Means of 40 normal numbers: the share that covers 0 is binomial; the percentile
    # interval is known to be a little short at this n, 93-94 %.
    draws = generator(0, "coverage").normal(size=(300, 40))
    counts = bootstrap.weights(np.arange(40), 500)
    covered = 0
    for values in draws:
        means = bootstrap.replicates(lambda w, v=values: weighted.mean(v, w), counts)
        result = bootstrap.summary(means, 40, undefined="")
        covered += result.lo <= 0 <= result.hi
    assert 0.89 <= covered / len(draws) <= 0.98


def test_copies_of_a_patient_do_not_narrow_the_interval():
    values = generator(0, "values").normal(size=60)
    once = mean_estimate(values, np.arange(60))
    copied = np.repeat(values, 4)
    clustered = mean_estimate(copied, np.repeat(np.arange(60), 4))
    as_if_independent = mean_estimate(copied, np.arange(240))
    np.testing.assert_allclose(clustered[:3], once[:3], rtol=1e-9)
    width = once.hi - once.lo
    narrow = as_if_independent.hi - as_if_independent.lo
    assert narrow == pytest.approx(width / 2, rel=0.1)  # sqrt(4) times too narrow


def test_blocks_change_nothing(monkeypatch):
    values = generator(0, "values").normal(size=17)
    whole = mean_estimate(values, np.arange(17), resamples=100)
    monkeypatch.setattr(bootstrap, "BLOCK", 50)
    np.testing.assert_allclose(
        mean_estimate(values, np.arange(17), resamples=100)[:3], whole[:3], rtol=1e-12
    )


def same(a: Estimate, b: Estimate):
    np.testing.assert_equal(tuple(a), tuple(b))


def test_no_images_one_patient_no_resamples():
    nan = float("nan")
    same(mean_estimate(np.zeros(0), []), Estimate(nan, nan, nan, 0, "no images"))
    alike = "no interval: all resamples are alike"
    one = mean_estimate(np.array([0.1, 0.7, 0.9]), ["p"] * 3)
    assert one.value == pytest.approx(1.7 / 3)
    few = "no interval: only 1 patient in a group it rests on, and 5 are needed"
    same(one, Estimate(one.value, nan, nan, 3, few))
    same(mean_estimate(np.ones(9), np.arange(9)), Estimate(1.0, nan, nan, 9, alike))
    same(
        mean_estimate(np.array([1.0, 3.0]), [0, 1], resamples=0),
        Estimate(2.0, nan, nan, 2, "no interval: no resamples asked for"),
    )


def test_undefined_resamples_are_left_out_and_counted():
    def summary(share):
        values = np.linspace(0, 1, 101)
        values[1 : 1 + share] = np.nan
        return bootstrap.summary(values, 7, undefined="why")

    assert summary(5).reason == ""
    some = summary(20)
    assert some.reason == "20% of the resamples undefined and left out"
    left = np.linspace(0, 1, 101)[21:]
    assert (some.lo, some.hi) == pytest.approx(
        (np.percentile(left, 2.5), np.percentile(left, 97.5))
    )
    most = summary(60)
    assert most.value == 0 and np.isnan(most.lo) and np.isnan(most.hi)
    assert most.reason == "no interval: undefined in 60% of the resamples"
    undefined = bootstrap.summary(np.full(101, np.nan), 7, undefined="why")
    assert np.isnan(undefined.value) and undefined.reason == "why"


def test_an_area_has_the_interval_of_its_log_odds():
    """Written out: the delta method, and the quantile of Student's t."""
    numbers = np.random.default_rng(0)
    positive = np.repeat(np.arange(40) < 7, 2)
    scores = numbers.normal(size=80) + positive
    counts = bootstrap.weights(np.repeat(np.arange(40), 2), 300)
    area = Rests(
        partial(weighted.auroc, positive, scores),
        (positive, ~positive),
        is_area=True,
    )
    found = bootstrap.estimate(area, counts, undefined="")
    drawn = [
        roc_auc_score(positive, scores, sample_weight=row)
        for row in counts.astype(float)
    ]
    assert found.value == pytest.approx(drawn[0])
    error = np.std(drawn[1:], ddof=1) / (drawn[0] * (1 - drawn[0]))
    ends = special.logit([found.lo, found.hi])
    expected = special.logit(drawn[0]) + np.array([-1, 1]) * 2.446912 * error  # t, df 6
    np.testing.assert_allclose(ends, expected, rtol=1e-6)


def test_the_interval_of_an_area_holds_it_with_few_patients():
    """Percentiles do not: eight positives, three images each, area 0.92."""
    numbers, true = np.random.default_rng(1), special.ndtr(2 / np.sqrt(2))
    patient = np.repeat(np.arange(68), 3)
    positive, held = patient < 8, {"log odds": 0, "percentiles": 0}
    counts = bootstrap.weights(patient, 200)
    for _ in range(200):
        shared = numbers.normal(size=68)[patient]
        scores = 0.77 * shared + 0.63 * numbers.normal(size=204) + 2 * positive
        values = weighted.auroc(positive, scores, counts.astype(float))
        for name, area_of in (("log odds", 8), ("percentiles", 0)):
            found = bootstrap.summary(values, 204, undefined="", area_of=area_of)
            held[name] += found.lo <= true <= found.hi
    assert held["log odds"] >= 0.9 * 200 > held["percentiles"]
