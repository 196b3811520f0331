import numpy as np
from sklearn.linear_model import LogisticRegression

from cxr_jax.gate import logistic


def test_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    positive = np.arange(300) < 60
    x = rng.normal(size=(300, 5)) + positive[:, None] * [1, 0, -1, 0.5, 0]
    weights = np.where(positive, 1, 60 / 240)
    model = LogisticRegression(C=1 / 3, tol=1e-10, max_iter=1000)
    model.fit(x, positive, sample_weight=weights)
    expected = np.append(model.coef_[0], model.intercept_)
    np.testing.assert_allclose(logistic.fit(x, positive), expected, atol=1e-5)


def test_the_start_does_not_matter():
    rng = np.random.default_rng(0)
    positive = rng.random(80) < 0.5
    x = rng.normal(size=(80, 3)) + positive[:, None]
    found = logistic.fit(x, positive)
    again = logistic.fit(x, positive, found + 0.5)
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_classes_that_are_far_apart():
    x = np.array([[-1e3], [1e3]]).repeat(20, 0)
    found = logistic.fit(x, x[:, 0] > 0)
    assert np.isfinite(found).all()
    assert found[0] > 0
