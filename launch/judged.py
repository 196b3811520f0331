"""What the runs of one setting predicted of their test films, one entry a seed."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cxr_jax import config as config_lib
from cxr_jax.runs import predictions
from cxr_jax.stats import bootstrap
from cxr_jax.tasks import Task, make_task
from tfds_builders.common.errors import InputError

from .plan import REPEATS
from .workdirs import Finished

_SEED, _FOLD = REPEATS


class Setting(NamedTuple):
    """Runs that differ in the seed and the fold alone.

    Attributes:
      name: what the sweep changed, 'loss=ordinal'; 'all' where that is nothing.
      runs: {seed: runs}: one, or one of each fold.
    """

    name: str
    runs: dict[int, list[Finished]]

    @property
    def all_runs(self) -> list[Finished]:
        """Those of all seeds."""
        return [run for some in self.runs.values() for run in some]


class Judged(NamedTuple):
    """The test films of one seed; those of all folds together.

    Attributes:
      patients: [N], the unit that is drawn.
      labels: [N, G]; probs: [N, G, K].
      decisions: of the runs; fold: [N], which of them judged a film.
    """

    patients: np.ndarray
    labels: np.ndarray
    probs: np.ndarray
    decisions: list[dict[str, Any]]
    fold: np.ndarray


def settings(
    runs: list[Finished], named: Mapping[str, str] = MappingProxyType({})
) -> list[Setting]:
    """The settings in the order of the runs.

    named: {run: setting} of those whose sweep gave them a name.

    Raises:
      InputError: two runs of one setting have the same seed and fold, or a seed lacks
        folds that another has.
    """
    found: dict[str, dict[int, list[Finished]]] = {}
    short = _short({key for run in runs for key in run.overrides})
    for run in runs:
        shared = {
            short[key]: value
            for key, value in run.overrides.items()
            if key not in REPEATS
        }
        text = ", ".join(f"{key}={value}" for key, value in shared.items()) or "all"
        name = named.get(run.name) or text
        seeds = found.setdefault(name, {})
        seeds.setdefault(int(run.config[_SEED]), []).append(run)
    made = [Setting(name, dict(sorted(seeds.items()))) for name, seeds in found.items()]
    for setting in made:
        _check_folds(setting)
    return made


def _short(keys: set[str]) -> dict[str, str]:
    """{'task.loss': 'loss'}, where no other key ends the same."""
    ends = collections.Counter(key.split(".")[-1] for key in keys)
    return {
        key: key if ends[key.split(".")[-1]] > 1 else key.split(".")[-1] for key in keys
    }


def _check_folds(setting: Setting) -> None:
    folds = {
        seed: sorted(run.config[_FOLD] for run in some)
        for seed, some in setting.runs.items()
    }
    for seed, own in folds.items():
        if len(set(own)) < len(own):
            twice = ", ".join(run.name for run in setting.runs[seed])
            raise InputError(
                twice,
                f"are of the same setting, seed and fold ({setting.name}, seed {seed})",
                "keep one of them in the folder",
            )
    different = sorted(set(map(tuple, folds.values())))
    if len(different) > 1:
        raise InputError(
            setting.name,
            f"its seeds have different folds: {', '.join(map(str, different))}",
            "run the same sweep again: it fills the holes",
        )


def task_of(run: Finished) -> Task:
    """The task of a run."""
    return make_task(config_lib.from_json(run.path / "config.json").task)


def judged(task: Task, runs: list[Finished]) -> Judged:
    """The predictions of one seed: of a run, or of those of all folds.

    Raises:
      InputError: a file of predictions is missing or damaged, or a film was tested by
        two folds.
    """
    parts = [_read(task, run) for run in runs]
    ids = [name for part in parts for name in part.example_ids]
    if len(set(ids)) < len(ids):
        raise InputError(
            ", ".join(run.name for run in runs),
            f"test {len(ids) - len(set(ids))} films twice",
            "pool the folds of one cross-validation: configs/ablations/folds.py",
        )
    return Judged(
        np.concatenate([part.patient_ids for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.probs for part in parts]),
        [run.decision for run in runs],
        np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts]),
    )


def _read(task: Task, run: Finished) -> predictions.Read:
    dataset = str(run.config["data.dataset"]).split("/")[0]
    return predictions.read_alone(
        task, run.path / "predictions" / f"{dataset}-test.csv"
    )


def replicates(
    task: Task, found: list[Judged], weights_of: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """{metric: [K, R + 1]} of K seeds.

    weights_of: {patient: [R + 1]}, of `drawn`.
    """
    assert task.probabilities is not None  # `answer` takes the results of others
    rows: dict[str, list[np.ndarray]] = {}
    for each in found:
        statistics = task.probabilities.pooled_statistics(
            each.labels, each.probs, each.decisions, each.fold
        )
        weights = np.stack([weights_of[name] for name in each.patients], axis=1)
        for metric, statistic in statistics.items():
            rows.setdefault(metric, []).append(bootstrap.replicates(statistic, weights))
    return {metric: np.stack(some) for metric, some in rows.items()}


def drawn(found: list[Judged], resamples: int, seed: int) -> dict[str, np.ndarray]:
    """How often each patient of any run is drawn: {patient: [R + 1]}.

    One draw for all runs, so that what makes films hard cancels where two runs were
    tested on the same ones.
    """
    names = np.unique(np.concatenate([each.patients for each in found]))
    weights = bootstrap.weights(names, resamples, seed)
    return dict(zip(names.tolist(), weights.T, strict=True))
