"""Cross-validation as one result: every image judged by the run that never saw it.

The predictions of all folds are pooled, and the figures are those of the pool: a mean of
the folds' figures has no meaningful interval (Bengio and Grandvalet 2004), and
the area of five small test sets is not that of one large.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax.data import roles
from cxr_jax.runs import alike, results
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.runs.writer import say
from cxr_jax.stats import bootstrap
from cxr_jax.tasks import Task
from tfds_builders.common.errors import InputError

# Folds may differ in the fold and in where they ran, and in nothing else.
_FREE = ("data.fold", "data.data_dir", "data.residency", "resamples")


def pool(folders: Sequence[str], workdir: pathlib.Path) -> int:
    """Pools the test predictions of the runs of a cross-validation.

    Args:
      folders: of `--runs`, see `stored.find`: one run of each fold.
      workdir: `results.json` is written there.

    Returns:
      The exit code.

    Raises:
      InputError: runs that differ in more than the fold, the same fold twice, or none.
    """
    runs = stored_lib.find(folders)
    check(runs)
    config, task = runs[0].config, stored_lib.task_of(runs[0])
    parts = [_part(task, run) for run in runs]
    ids = [name for part in parts for name in part.split.table["example_id"]]
    if len(set(ids)) < len(ids):
        raise InputError(
            "--runs",
            f"tests {len(ids) - len(set(ids))} images twice",
            "give one run of each fold of one dataset",
        )
    patients = np.concatenate([part.split.table["patient_id"] for part in parts])
    found = task.probabilities.pooled(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.probs[0] for part in parts]),
        [run.results["best"]["decision"] for run in runs],
        np.repeat(np.arange(len(runs)), [len(part.labels) for part in parts]),
        bootstrap.weights(patients, config.resamples, config.seed),
    )
    content = {
        "metrics": results.to_json({"test": found}),
        "folds": {str(run.workdir): int(run.config.data.fold) for run in runs},
        "sizes": {
            "test": {"images": len(ids), parts[0].split.unit: len(set(patients))}
        },
        "dataset": runs[0].dataset["name"],
        "synthetic": parts[0].split.synthetic,
    }
    path = workdir / "results.json"
    results.save(path, content)
    results.show("test", content)
    say(f"\npooled over {len(runs)} folds\nwritten: {path}")
    return 0


def check(runs: list[stored_lib.Run]) -> None:
    """Refuses runs that are not folds of one cross-validation."""
    alike.check(
        {str(run.workdir): _settings(run.config) for run in runs},
        "pool the runs of one cross-validation: configs/ablations/folds.py",
    )
    seen: dict[int, pathlib.Path] = {}
    for run in runs:
        fold = run.config.data.fold
        if fold < 0 or fold in seen:
            raise InputError(
                run.workdir,
                f"is of fold {fold}, as {seen[fold]}"
                if fold in seen
                else "is not a fold",
                "give one run of each fold (config.data.fold)",
            )
        seen[fold] = run.workdir


def _settings(config: ConfigDict) -> dict[str, Any]:
    leaves = config_lib.leaves(config_lib.to_dict(config))
    return {key: value for key, value in leaves.items() if key not in _FREE}


def _part(task: Task, run: stored_lib.Run) -> stored_lib.Stored:
    config: ConfigDict = run.config
    splits = roles.open_splits(config.data, stored_lib.home(run))
    stored_lib.check_data([run], splits.description)
    name = f"{splits.test.dataset}-test"
    return stored_lib.gather(task, [run], splits.test, name)
