"""Cross-validation as one result: every image judged by the run that never saw it.

The predictions of all folds are pooled, and the figures are those of the pool: a mean of
the folds' figures has no interval that means anything (Bengio and Grandvalet 2004), and
the area of five small test sets is not that of one large.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import metrics
from cxr_jax.data import roles
from cxr_jax.metrics import Estimate
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.runs import results
from cxr_jax.runs.writer import say
from cxr_jax.tasks import make_task
from tfds_builders.common.errors import InputError

# Folds may differ in the fold and in where they ran, and in nothing else.
_FREE = ("data.fold", "data.data_dir", "data.residency", "resamples")


def pool(folders: Sequence[str], workdir: pathlib.Path) -> int:
    """Pools the test predictions of the runs of a cross-validation.

    Args:
      folders: of `--runs`, see `stored.find`: one run of each fold.
      workdir: `results.json` and the pooled predictions are written there.

    Returns:
      The exit code.

    Raises:
      InputError: runs that differ in more than the fold, the same fold twice, or none.
    """
    runs = stored_lib.find(folders)
    check(runs)
    config = runs[0].config
    task = make_task(config.task)
    parts = [_part(task, run) for run in runs]
    ids = [name for part in parts for name in part.split.table["example_id"]]
    if len(set(ids)) < len(ids):
        raise InputError(
            "--runs",
            f"test {len(ids) - len(set(ids))} images twice",
            "give one run of each fold of one dataset",
        )
    patients = np.concatenate([part.split.table["patient_id"] for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    probs = np.concatenate([part.probs[0] for part in parts])
    bootstrap = {"resamples": config.resamples, "seed": config.seed}
    if config.task.name == "brixia":
        found = of_scores(labels, probs, patients, bootstrap)
    else:
        thresholds = [_thresholds(run) for run in runs]
        which = np.repeat(np.arange(len(runs)), [len(part.labels) for part in parts])
        found = of_classes(
            labels[:, 0],
            probs[:, 0],
            np.array(thresholds)[which],
            patients,
            config.task.classes,
            bootstrap,
        )
    content = {
        "metrics": {f"test/{n}": e.to_json() for n, e in found.items()},
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
    """Refuses runs that are no folds of one cross-validation."""
    seen: dict[int, pathlib.Path] = {}
    for run in runs:
        changes = config_lib.diff(runs[0].config, run.config, ignore=_FREE)
        if changes:
            raise InputError(
                run.workdir,
                f"differs from {runs[0].workdir} in more than the fold:\n  "
                + changes.replace("\n", "\n  "),
                "pool the runs of one cross-validation: configs/ablations/folds.py",
            )
        fold = run.config.data.fold
        if fold < 0 or fold in seen:
            raise InputError(
                run.workdir,
                f"is of fold {fold}, as {seen[fold]}" if fold in seen else "is no fold",
                "give one run of each fold (config.data.fold)",
            )
        seen[fold] = run.workdir


def of_scores(labels, probs, patients, bootstrap) -> dict[str, Estimate]:
    """Metrics of pooled zone scores: [N, 6], [N, 6, 4]."""
    expected = probs @ np.arange(probs.shape[-1])
    found = metrics.brixia_metrics(labels, expected, probs, patients, **bootstrap)
    return found | metrics.scores_agreement(labels, expected, patients, **bootstrap)


def of_classes(
    target, probs, thresholds, patients, classes, bootstrap
) -> dict[str, Estimate]:
    """Metrics of pooled classes; each image is called at the threshold of its fold.

    target: [N]; probs, thresholds: [N, K]. Areas are those of the probabilities as they
    are: folds that are calibrated differently lower them, as they should.
    """
    half = np.full(len(classes), 0.5)
    areas = metrics.classify_metrics(
        target, probs, patients, classes, half, **bootstrap
    )
    levelled = at_half(probs, thresholds)
    calls = metrics.classify_metrics(
        target, levelled, patients, classes, half, **bootstrap
    )
    of_areas = ("auroc", "auprc", "prevalence")
    found = {
        name: areas[name] if name.startswith(of_areas) else calls[name]
        for name in areas
    }
    called = metrics.decide(levelled, half) if len(classes) == 2 else probs.argmax(1)
    if len(classes) > 2:  # the most probable class needs no threshold
        found["accuracy"], found["macro_f1"] = areas["accuracy"], areas["macro_f1"]
    agree = metrics.classes_agreement(
        target, called, len(classes), patients, **bootstrap
    )
    return found | agree


def at_half(probs, thresholds) -> np.ndarray:
    """Probabilities bent so that 0.5 is where the threshold was; order is kept."""
    below = 0.5 * probs / np.maximum(thresholds, 1e-12)
    above = 0.5 + 0.5 * (probs - thresholds) / np.maximum(1 - thresholds, 1e-12)
    return np.where(probs >= thresholds, above, below)


def _part(task, run: stored_lib.Run) -> stored_lib.Stored:
    config: ConfigDict = run.config
    splits = roles.open_splits(config.data, stored_lib.home(run))
    stored_lib.check_data([run], splits.description)
    name = f"{splits.test.dataset}-test"
    return stored_lib.gather(task, [run], splits.test, name)


def _thresholds(run: stored_lib.Run) -> list[Any]:
    return run.results["best"]["decision"]["thresholds"]
