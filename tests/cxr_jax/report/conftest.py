"""A finished run to report on, without a training."""

import json

import numpy as np
import pytest

from cxr_jax import config as config_lib
from cxr_jax.data import roles
from cxr_jax.evaluation.evaluators import Evaluation
from cxr_jax.report import write
from cxr_jax.runs import digest, provenance, results
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.stats import bootstrap
from cxr_jax.tasks import make_task


@pytest.fixture(scope="session")
def reported_run(finished_run):
    """(workdir, config) -> the workdir with every file that a report needs."""

    def finish(workdir, config):
        finished_run(workdir, config)
        task = make_task(config.task)
        splits = roles.open_splits(config.data, workdir)
        best = results_of(workdir)["best"] | {"metric": task.select, "value": 0.5}
        found = {
            role: evaluation(task, workdir, splits, role, best["decision"], config)
            for role in ("val", "test")
        }
        content = {
            "metrics": results.to_json({role: e.metrics for role, e in found.items()}),
            "best_step": 1,
            "best": best,
            "sizes": {
                "parameters": 1234,
                **{role: results.size(getattr(splits, role)) for role in roles.ROLES},
            },
            "confusion": {
                role: task.confusion(e.targets, e.predictions, best["decision"])
                for role, e in found.items()
            },
            "shared_patients": roles.shared_patients(splits),
            "dataset": splits.description["name"],
            "synthetic": splits.description["synthetic"],
        }
        results.save(workdir / "results.json", content)
        origin = provenance.collect(json.loads(json.dumps(splits.description)))
        (workdir / "provenance.json").write_text(json.dumps(digest.seal(origin)))
        lines = [
            {"step": 0, f"val/{task.select}": None, "val/loss": 2.0},
            {"step": 1, "train/loss": 1.5, "lr": 1e-3},
            {"step": 1, f"val/{task.select}": 0.5, "val/loss": 1.2},
        ]
        text = "\n".join(map(json.dumps, lines)) + "\n"
        (workdir / "metrics.jsonl").write_text(text)
        (workdir / "config.json").write_text(config_lib.to_json(config))
        return workdir

    return finish


def results_of(workdir):
    return json.loads((workdir / "results.json").read_text())


def evaluation(task, workdir, splits, role, decision, config):
    """An evaluation of the stored predictions of the run."""
    split, run = getattr(splits, role), stored_lib.read(workdir)
    stored = stored_lib.gather(task, [run], split, f"{split.dataset}-{role}", "")
    (labels,) = stored.targets.values()
    probs = stored.probs[0].reshape(*labels.shape, -1).astype("float32")
    predictions = {
        "probs": probs,
        "expected": probs @ np.arange(task.levels, dtype="float32"),
        "loss": -np.log(probs.max(axis=-1)).reshape(split.size, -1).mean(1),
    }
    metrics = task.metrics(
        split,
        stored.targets,
        predictions,
        decision,
        bootstrap.draw(split.table["patient_id"], 50, config.seed),
    )
    return Evaluation(split, stored.targets, predictions, decision, metrics)


@pytest.fixture(scope="session")
def brixia_run(reported_run, brixia_data, tmp_path_factory):
    """A finished run with its report; copy it before changing it."""
    from configs import brixia

    config = brixia.get_config()
    return _reported(reported_run, config, brixia_data, tmp_path_factory)


@pytest.fixture(scope="session")
def class_run(reported_run, covidgr_data, tmp_path_factory):
    """The same of two classes."""
    from configs import covidgr

    config = covidgr.get_config()
    return _reported(reported_run, config, covidgr_data, tmp_path_factory)


def _reported(reported_run, config, data, tmp_path_factory):
    config.data.dataset = config.data.dataset.split("/")[0] + "/256"
    config.data.data_dir = str(data)
    config.data.size = 48
    config.resamples = 50
    run = reported_run(tmp_path_factory.mktemp(config.task.name) / "run", config.lock())
    write.write(run)
    return run
