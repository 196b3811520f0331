import numpy as np
import pytest
from scipy import special

from cxr_jax.rng import generator
from cxr_jax.stats import conformal


def draw(g, n, zones=()):
    """Classes that are likelier the larger their probability, but not as said."""
    odds = g.normal(0, 1.5, (n, *zones, 4))
    true = special.softmax(0.6 * odds, axis=-1).cumsum(axis=-1)
    target = (g.random((n, *zones, 1)) > true).sum(axis=-1).clip(max=3)
    return target, special.softmax(odds, axis=-1)


@pytest.mark.parametrize("zones", [(), (6,)])
def test_coverage_on_new_images_is_as_promised(zones):
    """Its mean over trials lies in [0.9, 0.9 + 1 / (n + 1)] (Vovk et al. 2005)."""
    g, covered = generator(0, "conformal"), []
    for _ in range(200):
        target, probs = draw(g, 100, zones)
        least = conformal.set_threshold(target, probs, np.arange(100))
        target, probs = draw(g, 200, zones)
        covered.append((conformal.truth(target, probs) >= least).mean())
    error = np.std(covered) / np.sqrt(len(covered))
    assert 0.9 - 3 * error <= np.mean(covered) <= 0.9 + 1 / 101 + 3 * error


def test_the_limit_is_the_quantile_with_the_correction():
    """19 images: the 18th of 20 places; 8 images cannot promise 0.9."""
    probs = np.linspace(0.05, 0.95, 19)
    both = np.stack([probs, 1 - probs], axis=1)
    assert conformal.set_threshold(np.zeros(19, int), both, range(19)) == pytest.approx(
        np.sort(probs)[1]
    )
    assert conformal.set_threshold(np.zeros(8, int), both[:8], range(8)) == 0.0
    assert conformal.sets(both, 0.0).all()


def test_sets_hold_what_is_likely_enough():
    found = conformal.sets(np.array([[0.7, 0.2, 0.1]]), 0.2)
    assert found.tolist() == [[True, True, False]]


def test_no_set_is_empty():
    """Where no class is as likely as asked for, the most likely is the set."""
    probs = np.array([[0.4, 0.35, 0.25], [0.5, 0.5, 0.0]])
    found = conformal.sets(probs, 0.9)
    assert found.tolist() == [[True, False, False], [True, True, False]]


def test_images_of_one_patient_count_as_one():
    """Copies of every image change nothing, and 30 of three patients promise nothing."""
    g = generator(1, "copies")
    target, probs = draw(g, 40)
    once = conformal.set_threshold(target, probs, range(40))
    many = np.repeat(np.arange(40), 5)
    assert conformal.set_threshold(target[many], probs[many], many) == once
    assert conformal.set_threshold(target[:30], probs[:30], np.arange(30) % 3) == 0.0


def test_coverage_of_a_new_patient_whose_images_are_alike():
    """25 patients with 6 zones alike: pooled zones would hold 23 / 26 = 0.885."""
    g, covered = generator(0, "alike"), []
    for _ in range(400):
        confidence = g.random(500)
        probs = np.stack([confidence, 1 - confidence], axis=-1)
        probs = np.repeat(probs[:, None], 6, axis=1)
        target = np.zeros((500, 6), int)
        val, test = slice(0, 25), slice(25, None)
        least = conformal.set_threshold(target[val], probs[val], range(25))
        covered.append((conformal.truth(target[test], probs[test]) >= least).mean())
    error = np.std(covered) / np.sqrt(len(covered))
    assert abs(np.mean(covered) - 24 / 26) < 3 * error


def draw_zones(g, n, shared):
    """Scores of six zones that have something in common, and probabilities too sure."""
    common = shared * g.normal(0, 1, (n, 1, 1))
    odds = g.normal(0, 1, (n, 6, 4)) + common * np.arange(-1.5, 2)
    hidden = odds + shared * g.normal(0, 1, (n, 1, 1)) * np.arange(-1.5, 2)
    true = special.softmax(hidden, axis=-1).cumsum(axis=-1)
    target = (g.random((n, 6, 1)) > true).sum(axis=-1).clip(max=3)
    return target, special.softmax(odds, axis=-1)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.5])
def test_intervals_of_correlated_zones_hold_the_global_score(shared):
    """The mean coverage over trials is 90 %, two points more or less."""
    g, covered, factors = generator(2, "intervals"), [], []
    for _ in range(100):
        target, probs = draw_zones(g, 150, shared)
        factor = conformal.interval_factor(target, probs, probs, np.arange(150))
        target, probs = draw_zones(g, 300, shared)
        low, high = conformal.interval(probs, probs, factor)
        assert (low >= 0).all() and (high <= 18).all()
        truth = target.sum(axis=1)
        covered.append(((low <= truth) & (truth <= high)).mean())
        factors.append(factor)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)
    # Independent zones need what a normal distribution does; others need more.
    assert (np.mean(factors) == pytest.approx(1.645, abs=0.1)) == (shared == 0)


def test_spread_is_the_standard_deviation_of_a_sum():
    g = generator(3, "spread")
    probs = g.dirichlet(np.ones(4), (5, 6))
    drawn = (g.random((200_000, 5, 6, 1)) > probs.cumsum(axis=-1)).sum(axis=-1)
    sums = drawn.clip(max=3).sum(axis=-1)
    np.testing.assert_allclose(conformal.spread(probs), sums.std(axis=0), rtol=0.01)
    np.testing.assert_allclose(
        conformal.global_score(probs), sums.mean(axis=0), rtol=0.01
    )
    sure = np.zeros((1, 6, 4))
    sure[..., 2] = 1
    assert conformal.spread(sure) == conformal.LEAST_SPREAD


def test_too_few_patients_promise_no_interval():
    target, probs = draw_zones(generator(4, "few"), 8, 0.5)
    factor = conformal.interval_factor(target, probs, probs, np.arange(8))
    assert factor == np.inf
    low, high = conformal.interval(probs, probs, factor)
    assert (low == 0).all() and (high == 18).all()
    assert conformal.interval_factor(target[:0], probs[:0], probs[:0], []) == np.inf


def test_an_interval_counts_patients_not_films():
    target, probs = draw_zones(generator(5, "patients"), 40, 0.5)
    once = conformal.interval_factor(target, probs, probs, range(40))
    many = np.repeat(np.arange(40), 5)
    again = conformal.interval_factor(target[many], probs[many], probs[many], many)
    assert again == once
