import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error

from cxr_jax import metrics


def test_errors_against_the_consensus_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    reader = generator.integers(0, 4, (12, 6))
    expected = generator.uniform(0, 3, (12, 6))
    consensus = generator.integers(0, 16, (12, 6)) / 5
    consensus[::3] = np.nan
    known = np.arange(12) % 3 != 0
    found = metrics.consensus_metrics(
        expected, reader, consensus, [f"p{i}" for i in range(12)], resamples=50
    )
    for name, scores in (("consensus", expected), ("consensus_reader", reader)):
        zone = found[f"mae_zone_{name}"]
        assert zone.n == 8
        assert zone.lo < zone.value < zone.hi
        assert zone.value == pytest.approx(
            mean_absolute_error(consensus[known], scores[known])
        )
        assert found[f"mae_global_{name}"].value == pytest.approx(
            mean_absolute_error(consensus[known].sum(1), scores[known].sum(1))
        )


def test_nothing_is_said_where_there_is_no_consensus():
    nothing = np.full((3, 6), np.nan)
    scores = np.zeros((3, 6))
    assert metrics.consensus_metrics(scores, scores, nothing, ["a", "b", "c"]) == {}
