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
        least = conformal.set_threshold(target, probs)
        target, probs = draw(g, 200, zones)
        covered.append((conformal.truth(target, probs) >= least).mean())
    error = np.std(covered) / np.sqrt(len(covered))
    assert 0.9 - 3 * error <= np.mean(covered) <= 0.9 + 1 / 101 + 3 * error


def test_the_limit_is_the_quantile_with_the_correction():
    """19 images: the 18th of 20 places; 8 images cannot promise 0.9."""
    probs = np.linspace(0.05, 0.95, 19)
    both = np.stack([probs, 1 - probs], axis=1)
    assert conformal.set_threshold(np.zeros(19, int), both) == pytest.approx(
        np.sort(probs)[1]
    )
    assert conformal.set_threshold(np.zeros(8, int), both[:8]) == 0.0
    assert conformal.sets(both, 0.0).all()


def test_sets_hold_what_is_likely_enough():
    found = conformal.sets(np.array([[0.7, 0.2, 0.1]]), 0.2)
    assert found.tolist() == [[True, True, False]]
