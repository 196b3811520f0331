"""Pooled predictions against numpy; nothing is trained."""

import numpy as np
import pytest

from launch import out_of_fold
from launch.out_of_fold import Pooled


def drawn(patients=60, seed=0):
    """Two films a patient, of labels drawn with the probabilities that are given."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), (2 * patients, 6))
    labels = (rng.uniform(size=(2 * patients, 6, 1)) > probs.cumsum(-1)).sum(-1)
    ids = [f"film{k:03d}" for k in range(2 * patients)]
    of = [f"patient{k // 2:03d}" for k in range(2 * patients)]
    return Pooled(ids, of, np.arange(2 * patients) // 2 % 5, labels, probs[None])


def test_figures_are_those_of_numpy():
    found = drawn()
    probs = found.probs[0]
    expected = probs @ np.arange(4)
    figures = out_of_fold.figures(found, probs)
    assert figures["mae_zone"].value == pytest.approx(
        np.abs(expected - found.labels).mean()
    )
    total = expected.sum(1), found.labels.sum(1)
    assert figures["pearson_global"].value == pytest.approx(np.corrcoef(*total)[0, 1])


def test_intervals_settled_on_other_folds_hold_nine_tenths():
    found = drawn(patients=300)
    coverage = out_of_fold.coverage(found, found.probs[0])["coverage_90_global"]
    assert coverage.n == 600
    assert 0.85 < coverage.value < 0.96


def test_the_interval_of_a_fold_does_not_know_its_films():
    found = drawn()
    own = found.fold == 2
    changed = found._replace(
        labels=np.where(own[:, None], 3 - found.labels, found.labels)
    )
    one = out_of_fold.decision(found, found.probs[0], ~own)
    assert one == out_of_fold.decision(changed, found.probs[0], ~own)
    assert one != out_of_fold.decision(changed, found.probs[0])
