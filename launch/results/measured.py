"""The figures of an arm, from the predictions that its runs left."""

from __future__ import annotations

import math
import pathlib
from typing import NamedTuple

import numpy as np

from cxr_jax.metrics.registry import metric as metric_of
from cxr_jax.runs import predictions
from cxr_jax.stats import over_seeds
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

from .. import attempts, judged, workdirs
from ..judged import Judged, Setting
from .leaks import Leaks

_AGREEMENT = ("kappa", "pearson", "spearman", "icc", "mcc")


class Figures(NamedTuple):
    """Of the runs of an arm, all on the same test films.

    Attributes:
      estimates: {metric: mean over seeds, folds pooled, with its interval}.
      by_seed: {metric: the value of each seed}.
      constant: {metric: what the constant predictor reaches}.
      images, patients: tested; unit: what stands for patients.
      minutes: of all trainings.
      first: the workdir of the first run.
      leaks: of that run; None where it is not known.
    """

    estimates: dict[str, Estimate]
    by_seed: dict[str, list[float]]
    constant: dict[str, float]
    images: int
    patients: int
    unit: str
    minutes: float
    first: pathlib.Path
    leaks: Leaks | None = None


class External(NamedTuple):
    """The same models on films from elsewhere.

    Attributes:
      name: of the set.
      estimates: {metric: ...}; drops: internal minus external, {metric: ...}.
      images, patients: tested; copies: left out, because train or val has them.
    """

    name: str
    estimates: dict[str, Estimate]
    drops: dict[str, Estimate]
    images: int
    patients: int
    copies: int


def figures(folder: pathlib.Path) -> Figures:
    """Of the finished runs of an arm.

    folder: of the arm.

    Raises:
      InputError: a file of a run is missing or damaged.
    """
    setting = _setting(folder)
    task, found = _of_test(setting)
    values, patients = _replicates(task, found, setting)
    noted = [each for run in setting.all_runs for each in attempts.read(run.path)]
    images = len(found[0].labels)
    return Figures(
        _stored(setting) | _means(values, len(patients), images),
        {name: some[:, 0].tolist() for name, some in values.items()},
        _constants(setting, values),
        images,
        len(patients),
        _unit(setting.all_runs[0].path / "results.json"),
        sum(each.seconds for each in noted) / 60 if noted else math.nan,
        setting.all_runs[0].path,
    )


def external(
    folder: pathlib.Path, name: str, file: str, left_out: frozenset[str]
) -> External:
    """The runs of an arm on another set.

    Args:
      folder: of the arm; its runs have the stored split, one a seed.
      name: of the set; file: 'predictions/<file>' in each workdir.
      left_out: ids of films that the runs have seen.
    """
    setting = _setting(folder)
    task, own = _of_test(setting)
    other = [_without(task, run, file, left_out) for run in setting.all_runs]
    inside, _ = _replicates(task, own, setting, [*own, *other])
    outside, _ = _replicates(task, other, setting, [*own, *other])
    patients, images = len(set(other[0].patients)), len(other[0].labels)
    sizes = patients + len(set(own[0].patients)), images
    return External(
        name,
        _means(outside, patients, images),
        {
            metric: over_seeds.difference(
                outside[metric], inside[metric], *sizes, paired=True
            ).estimate
            for metric in outside
            if metric in inside
        },
        images,
        patients,
        len(left_out),
    )


def _setting(folder: pathlib.Path) -> Setting:
    runs, _ = workdirs.read(folder)
    if not runs:
        raise InputError(folder, "no run is finished", "run the same command again")
    runs = [run._replace(overrides=_repeats(run.overrides)) for run in runs]
    return judged.settings(runs)[0]


def _stored(setting: Setting) -> dict[str, Estimate]:
    """What results.json has of a single run besides, such as the accuracy."""
    if len(setting.all_runs) > 1:
        return {}
    return {
        name.removeprefix("test/"): Estimate.from_json(found)
        for name, found in setting.all_runs[0].metrics.items()
        if name.startswith("test/")
    }


def _unit(path: pathlib.Path) -> str:
    """'patients', or what stands for them: 'images' where each stands for one."""
    sizes = files.read_json(path, missing="")["sizes"]["test"]
    return next((key for key in sizes if key != "images"), "images")


def _repeats(overrides):
    return {key: overrides[key] for key in ("seed", "data.fold") if key in overrides}


def _of_test(setting: Setting):
    task = judged.task_of(setting.all_runs[0])
    return task, [judged.judged(task, some) for some in setting.runs.values()]


def _replicates(task, found: list[Judged], setting: Setting, drawn_with=None):
    """({metric: [K, R + 1]}, patients) of K seeds."""
    resamples = int(setting.all_runs[0].config["resamples"])
    weights = judged.drawn(drawn_with or found, resamples, min(setting.runs))
    patients = set(np.concatenate([each.patients for each in found]).tolist())
    return judged.replicates(task, found, weights), patients


def _means(values, patients: int, images: int) -> dict[str, Estimate]:
    return {
        metric: _bounded(metric, over_seeds.mean(some, patients, images).estimate)
        for metric, some in values.items()
    }


def _bounded(metric: str, found: Estimate) -> Estimate:
    """Without what no value can reach: of few patients, Student's t goes beyond it.

    What is better when higher (areas, shares, agreement) ends at 1, an error at 0, and
    what is not an agreement, which may be below chance, at 0 too.
    """
    better = metric_of(metric).better
    if better not in ("higher", "lower"):
        return found
    lowest = -1.0 if metric.startswith(_AGREEMENT) else 0.0
    highest = 1.0 if better == "higher" else found.hi
    return found._replace(lo=max(found.lo, lowest), hi=min(found.hi, highest))


def _constants(setting: Setting, values) -> dict[str, float]:
    """The mean over runs of what results.json has for the constant predictor."""
    found = {}
    names = {*values, *_stored(setting)}
    for metric in sorted(names):
        key = f"test/{metric}_constant"
        stored = [
            run.metrics[key]["value"] for run in setting.all_runs if key in run.metrics
        ]
        if stored and None not in stored:
            found[metric] = float(np.mean(stored))
    return found


def _without(task, run: workdirs.Finished, file: str, left_out: frozenset[str]):
    read = predictions.read_alone(task, run.path / "predictions" / file)
    kept = np.array([name not in left_out for name in read.example_ids])
    return Judged(
        np.array(read.patient_ids)[kept],
        read.labels[kept],
        read.probs[kept],
        [run.decision],
        np.zeros(int(kept.sum()), int),
    )
