"""Fixtures that several tests of runs share."""

import functools
import json
import sys

import jax
import numpy as np
import pytest
import scipy.special
from jax._src import compilation_cache

from cxr_jax import config as config_lib
from cxr_jax.data import roles
from cxr_jax.devices import ahead, compiled
from cxr_jax.evaluation import evaluators
from cxr_jax.evaluation.evaluators import Evaluation
from cxr_jax.rng import generator
from cxr_jax.runs import own_digest, results
from cxr_jax.tasks import make_task


@pytest.fixture(scope="session")
def finished_run():
    """(workdir, config, seed) -> the workdir, as a finished run leaves it."""

    def finish(workdir, config, seed=0, scale=2.0):
        """Writes the files of a finished run, from random probabilities near the truth."""
        splits = roles.open_splits(config.data, workdir)
        task, evaluations = make_task(config.task), {}
        decision, draw = None, generator(seed, "ensemble")
        for role in ("val", "test"):
            split = getattr(splits, role)
            targets = task.targets(split)
            (labels,) = targets.values()
            logits = draw.normal(size=(*labels.shape, task.levels))
            logits += np.eye(task.levels)[labels]
            probs = scipy.special.softmax(scale * logits, axis=-1).astype(np.float32)
            expected = probs @ np.arange(task.levels, dtype=np.float32)
            predictions = {"probs": probs, "expected": expected}
            decision = decision or task.decide(
                targets, predictions, split.table["patient_id"]
            )
            evaluations[role] = Evaluation(split, targets, predictions, decision, {})
            path = workdir / "predictions" / f"{split.dataset}-{role}.csv"
            evaluators.save_predictions(path, evaluations[role], task)
        best = {"step": 1, "decision": {**decision, **task.constant(targets)}}
        results.save(workdir / "results.json", {"best": best, "best_step": 1})
        origin = {"dataset": json.loads(json.dumps(splits.description))}
        (workdir / "provenance.json").write_text(json.dumps(own_digest.seal(origin)))
        (workdir / "config.json").write_text(config_lib.to_json(config))
        return workdir

    return finish


@pytest.fixture
def kept_programs(tmp_path, monkeypatch):
    """An empty cache of compiled programs, of code that nobody has just edited.

    As in a command: modules of other tests, some of them deleted, are none of its, and it
    was started from a file.
    """
    others = ahead._other_files

    def of_this_test():
        return (path for path in others() if path.is_relative_to(tmp_path))

    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    monkeypatch.setattr(ahead, "_other_files", of_this_test)
    monkeypatch.setattr(ahead, "_code", functools.cache(ahead._code.__wrapped__))
    monkeypatch.setattr(ahead, "_LOADED", float("inf"))
    make = compilation_cache.get_file_cache
    monkeypatch.setattr(compilation_cache, "get_file_cache", make)
    before = jax.config.jax_compilation_cache_dir
    compilation_cache.reset_cache()
    compiled.use(tmp_path / "cache")
    yield tmp_path / "cache"
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


# Others jump where a rounding moves an image over an edge: shares, bins, sets, ranks.
SMOOTH = ("loss", "mae", "rmse", "bias", "sd", "rps", "pearson", "brier")


@pytest.fixture
def same_numbers():
    """(row, expected, tolerance): compares rows of metrics.jsonl except for speed."""

    def check(row, expected, tolerance):
        assert row.keys() == expected.keys()
        for name, value in expected.items():
            metric = name.rpartition("/")[2]
            is_smooth = metric.startswith(SMOOTH) or not name.startswith("val/")
            if name != "images_per_second" and is_smooth and value is not None:
                assert row[name] == pytest.approx(value, rel=tolerance, abs=tolerance)

    return check
