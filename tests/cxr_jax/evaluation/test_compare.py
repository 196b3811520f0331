"""Differences of two runs: paired, corrected, and refused where nothing is paired."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error

from cxr_jax.evaluation import compare
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap


def test_holm_matches_the_published_example():
    """Holm 1979: the smallest of m times m, the next times m - 1, never falling."""
    assert compare.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    found = compare.holm([0.6, float("nan"), 0.5])
    assert found[0] == found[2] == 1.0 and np.isnan(found[1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8))
def test_holm_matches_its_definition(values):
    """Written out: reject while p(k) (m - k + 1) stays below the level."""
    corrected = compare.holm(values)
    for level in (0.01, 0.05, 0.2):
        rejected, order = set(), sorted(range(len(values)), key=lambda i: values[i])
        for k, i in enumerate(order):
            if values[i] * (len(values) - k) > level:
                break
            rejected.add(i)
        assert {i for i, p in enumerate(corrected) if p <= level} == rejected


def drawn(effect, seed, patients=150, resamples=400):
    """A statistic of two runs whose errors share what makes a patient hard."""
    g = generator(seed, "compare")
    hard = g.gamma(2, 1, patients)
    one, other = (hard + g.normal(0, 0.5, patients) for _ in range(2))
    counts = bootstrap.weights(np.arange(patients), resamples, seed)
    values = [
        bootstrap.replicates(lambda w, x=x: (w @ x) / w.sum(axis=1), counts)
        for x in (one, other + effect)
    ]
    return compare.difference("mae", *values, patients), one, other + effect


def test_pairing_counts():
    """Interval and p are those of the paired t-test, not of two samples."""
    row, one, other = drawn(0.15, seed=1, resamples=5000)
    paired = stats.ttest_rel(other, one)
    gap = paired.confidence_interval()
    assert row.difference.value == pytest.approx(other.mean() - one.mean())
    assert row.difference.lo == pytest.approx(gap.low, abs=0.02)
    assert row.difference.hi == pytest.approx(gap.high, abs=0.02)
    apart = stats.ttest_ind(other, one)
    assert row.p == pytest.approx(paired.pvalue, abs=0.02)
    assert row.p < 0.2 < apart.pvalue


def test_without_a_difference_p_is_uniform():
    p = [drawn(0.0, seed)[0].p for seed in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.11


def test_a_run_against_itself_has_no_p():
    counts = bootstrap.weights(np.arange(30), 50, 0)
    values = bootstrap.replicates(lambda w: w @ np.arange(30.0), counts)
    row = compare.difference("x", values, values, 30)
    assert row.difference.value == 0 and np.isnan(row.p)
    assert "alike" in row.difference.reason


@pytest.fixture
def two_runs(tiny_config, finished_run, tmp_path):
    return [
        finished_run(tmp_path / name, tiny_config, seed)
        for seed, name in enumerate("ab")
    ]


def test_the_command(two_runs, tmp_path, environment):
    out = tmp_path / "comparison"
    runs = ",".join(map(str, two_runs))
    done = subprocess.run(
        [sys.executable, "-m", "cxr_jax.main", "--mode=compare", f"--runs={runs}",
         f"--workdir={out}"],
        check=False, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mae_zone" in done.stdout and "Holm" in done.stdout
    found = json.loads((out / "comparison.json").read_text())
    ((name, rows),) = found["runs"].items()
    assert name == str(two_runs[1]) and found["against"] == str(two_runs[0])
    row = next(row for row in rows if row["metric"] == "mae_zone")
    for value, run in ((row["one"], two_runs[0]), (row["other"], two_runs[1])):
        assert value == pytest.approx(mae(run), abs=1e-6)
    assert row["difference"]["value"] == pytest.approx(row["other"] - row["one"])
    assert row["difference"]["lo"] < row["difference"]["hi"]
    assert row["p"] <= row["p_holm"] <= 1


def mae(run) -> float:
    """From the csv alone."""
    with (run / "predictions/brixia-test.csv").open() as file:
        rows = list(csv.DictReader(file))

    def column(name):
        return [float(row[name]) for row in rows]

    pairs = [(column(f"target_{z}"), column(f"expected_{z}")) for z in "ABCDEF"]
    return np.mean([mean_absolute_error(*pair) for pair in pairs])
