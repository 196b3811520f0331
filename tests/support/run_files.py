"""Reads the files of a run for the tests."""

import json

import jax
import numpy as np

from cxr_jax import experiment
from cxr_jax.runs import checkpoint

FILES = "results.json", "predictions/brixia-test.csv", "checkpoints/best.json"


def lines(workdir):
    """Rows of metrics.jsonl."""
    return [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]


def timeless(workdir):
    """The same without values that depend on the speed of the machine."""
    rows = lines(workdir)
    return [{k: v for k, v in r.items() if k != "images_per_second"} for r in rows]


def newest_state(workdir, config):
    """(state, meta) of the newest checkpoint."""
    exp = experiment.build(config, train_examples=40)
    store = checkpoint.open_store(workdir / "checkpoints", read_only=True)
    return checkpoint.restore(store, exp.abstract_state)


def assert_same_run(one, other, config, step):
    """Both ended at `step` with identical state, memory, log, results, predictions."""
    states = [newest_state(workdir, config) for workdir in (one, other)]
    assert int(states[0][0].step) == step
    jax.tree.map(np.testing.assert_array_equal, states[0][0], states[1][0])
    assert states[0][1] == states[1][1]
    assert timeless(one) == timeless(other)
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
