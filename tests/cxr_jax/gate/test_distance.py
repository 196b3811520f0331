import numpy as np
import pytest
from sklearn.decomposition import PCA

from cxr_jax.gate import distance

RNG = np.random.default_rng(0)


def test_is_that_of_probabilistic_pca():
    x = RNG.normal(size=(60, 10)) @ RNG.normal(size=(10, 10)) + 3
    found = distance.fit(x)
    model = PCA(n_components=len(found.basis)).fit(x)
    away = x - x.mean(0)
    squares = np.einsum("nd,de,ne->n", away, model.get_precision(), away)
    expected = np.sqrt(squares / 10)
    # Constants are stored as float32.
    np.testing.assert_allclose(distance.distances(found, x), expected, rtol=1e-4)


def test_is_about_one_for_more_of_the_same_and_grows_with_the_distance():
    x = RNG.normal(size=(400, 8))
    found = distance.fit(x)
    near, far = (distance.distances(found, RNG.normal(m, 1, (400, 8))) for m in (0, 5))
    assert near.mean() == pytest.approx(1, abs=0.1)
    assert far.min() > near.max()


@pytest.mark.parametrize("shape", [(20, 1), (20, 2), (25, 2000), (300, 5)])
def test_any_number_of_features(shape):
    x = RNG.normal(size=shape)
    assert np.isfinite(distance.distances(distance.fit(x), x)).all()


def test_features_that_never_change():
    x = np.full((30, 4), 2.0)
    found = distance.fit(x)
    assert (distance.distances(found, x) == 0).all()
    assert distance.distances(found, x + 1)[0] > 0.4
