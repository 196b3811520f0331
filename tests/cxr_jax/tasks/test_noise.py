import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_jax.tasks import noise


@given(share=st.floats(0, 1), levels=st.integers(2, 6), seed=st.integers(0, 2**31 - 1))
def test_labels_stay_valid_and_depend_only_on_the_seed(share, levels, seed):
    labels = {"label": np.arange(40, dtype=np.int32) % levels}
    one, other = (noise.add(labels, share, levels, seed)["label"] for _ in range(2))
    assert one.dtype == np.int32
    assert set(one) <= set(range(levels))
    np.testing.assert_array_equal(one, other)


def test_a_share_of_the_labels_is_wrong_and_spread_over_the_others():
    """Binomial: 0.3 of 60,000 within four standard deviations; so each other score."""
    scores = {"scores": np.full((10_000, 6), 2, np.int32)}
    noisy = noise.add(scores, 0.3, 4, seed=0)["scores"]
    n, counts = noisy.size, np.bincount(noisy.ravel(), minlength=4)
    for level, expected in enumerate([0.1, 0.1, 0.7, 0.1]):
        spread = np.sqrt(n * expected * (1 - expected))
        assert counts[level] == pytest.approx(n * expected, abs=4 * spread)


def test_noise_of_all_and_of_none():
    labels = {"label": np.arange(30) % 3}
    assert noise.add(labels, 0.0, 3, seed=0) is labels
    assert not (noise.add(labels, 1.0, 3, seed=0)["label"] == labels["label"]).any()
