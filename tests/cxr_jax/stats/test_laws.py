"""Against scipy.stats."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxr_jax.stats import laws

SHARES = st.floats(1e-6, 1 - 1e-6)
FREEDOM = st.floats(0.5, 1e4)


@given(SHARES, FREEDOM, FREEDOM)
def test_quantiles(share, a, b):
    assert laws.normal_quantile(share) == pytest.approx(
        stats.norm.ppf(share), abs=1e-12
    )
    assert laws.t_quantile(share, a) == pytest.approx(stats.t.ppf(share, a), rel=1e-9)
    assert laws.beta_quantile(share, a, b) == pytest.approx(
        stats.beta.ppf(share, a, b), rel=1e-9
    )


@given(st.floats(-30, 30), FREEDOM)
def test_tails(x, freedom):
    assert laws.normal_tail(x) == pytest.approx(stats.norm.sf(x), rel=1e-12)
    assert laws.t_tail(x, freedom) == pytest.approx(stats.t.sf(x, freedom), rel=1e-9)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval(hits_of):
    found = stats.binomtest(*hits_of).proportion_ci(0.95, method="exact")
    assert laws.exact_interval(*hits_of, 0.95) == pytest.approx(
        (found.low, found.high), abs=1e-9
    )


@given(st.lists(st.integers(-5, 5), max_size=40))
def test_ranks(values):
    values = np.array(values, np.float64)
    np.testing.assert_array_equal(laws.ranks(values), stats.rankdata(values))


def test_scoring_films_imports_no_statistics_package():
    code = "import sys, cxr_jax.predict.opening; print('scipy.stats' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
