"""The ridge of zones against scikit-learn's; nothing else is trained."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from launch import zone_ridge
from launch.zone_ridge import Films

COUNT = 40


@pytest.fixture(scope="module")
def films():
    rng = np.random.default_rng(0)
    senior = rng.integers(0, 4, (COUNT, 6))
    junior = np.clip(senior + rng.integers(-1, 2, (COUNT, 6)), 0, 3)
    seen = senior[..., None] + rng.normal(size=(COUNT, 6, 3))
    noise = rng.normal(5, 2, (COUNT, 6, 7))
    patients = [f"patient{k // 2}" for k in range(COUNT)]
    return Films([seen, noise], senior, junior, patients)


def everything(films):
    return np.ones(len(films.patients), bool)


def test_the_direction_is_that_of_a_ridge(films):
    fitted = zone_ridge.fit(films, everything(films))
    x = np.concatenate(films.groups, -1)
    x = (x - x.mean((0, 1))) / x.std((0, 1))
    share = np.repeat([3**-0.5, 7**-0.5], [3, 7])  # kinds weigh the same
    scores = (films.senior + films.junior) / 2
    known = Ridge(alpha=fitted.penalty, fit_intercept=False)
    known.fit((x * share).reshape(-1, 10), (scores - scores.mean(0)).ravel())
    found = fitted.kernel[:, 1]
    wanted = known.coef_ * share
    np.testing.assert_allclose(
        found / np.linalg.norm(found), wanted / np.linalg.norm(wanted), atol=1e-4
    )


def test_levels_are_adjacent(films):
    fitted = zone_ridge.fit(films, everything(films))
    for level in range(4):
        np.testing.assert_allclose(
            fitted.kernel[:, level], level * fitted.kernel[:, 1], rtol=1e-5, atol=1e-7
        )


def test_probabilities_are_those_of_both_readers(films):
    probs = zone_ridge.probabilities(
        zone_ridge.fit(films, everything(films)), films.groups
    )
    np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-6)
    expected = probs @ np.arange(4)
    error = np.abs(expected - films.senior).mean()
    assert error < 0.6 * np.abs(np.median(films.senior, 0) - films.senior).mean()
    said = np.stack([films.senior, films.junior])
    shares = [(said == level).mean() for level in range(4)]
    np.testing.assert_allclose(probs.mean((0, 1)), shares, atol=0.05)


def test_films_left_out_do_not_matter(films):
    among = everything(films)
    among[:8] = False
    changed = films.senior.copy()
    changed[:8] = 3 - changed[:8]
    one = zone_ridge.fit(films, among)
    other = zone_ridge.fit(films._replace(senior=changed), among)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_scores_that_never_vary_are_predicted(films):
    never = np.zeros_like(films.senior)
    found = zone_ridge.fit(
        films._replace(senior=never, junior=never), everything(films)
    )
    probs = zone_ridge.probabilities(found, films.groups)
    assert probs[..., 0].min() > 0.9
