"""What a sweep answers: every setting over its seeds, and against one of them."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from cxr_jax.metrics.registry import metric as metric_of
from cxr_jax.stats import over_seeds
from cxr_jax.stats.over_seeds import Effect
from cxr_jax.stats.significance import LEVEL, holm
from cxr_jax.tasks import Task
from tfds_builders.common.errors import InputError

from . import attempts, judged
from .judged import Setting
from .workdirs import Finished


class Gap(NamedTuple):
    """A setting minus the baseline.

    Attributes:
      effect: the difference.
      p: corrected by Holm's method over all settings and metrics; NaN where unknown.
      is_paired: the same seeds, tested on the same films.
    """

    effect: Effect
    p: float
    is_paired: bool

    @property
    def differs(self) -> bool:
        """Whether it is beyond chance."""
        return self.p < LEVEL


class Row(NamedTuple):
    """A setting.

    Attributes:
      setting: its runs.
      images, patients: of the test films, those of all folds.
      figures: {metric: mean over seeds}.
      gaps: {metric: Gap}; of the baseline none.
      best: metrics in which it is better than every other setting, beyond chance.
      minutes: of all its runs; NaN where no launcher noted them.
      peak_mb: most memory on the host that a process took, which several members may
        share; None likewise.
    """

    setting: Setting
    images: int
    patients: int
    figures: dict[str, Effect]
    gaps: dict[str, Gap]
    best: frozenset[str]
    minutes: float
    peak_mb: int | None


class Answer(NamedTuple):
    """A sweep's answer.

    Attributes:
      metrics: those that are compared, the one that counts first.
      baseline: name of a setting.
      rows: of all settings, the baseline among them.
      resamples: of patients; 0 where the task has no predictions to resample.
    """

    metrics: tuple[str, ...]
    baseline: str
    rows: list[Row]
    resamples: int


class _Replicates(NamedTuple):
    """{metric: [K, R + 1]} of a setting, and what they were computed from."""

    values: dict[str, np.ndarray]
    seeds: tuple[int, ...]
    patients: frozenset[str]
    images: int


def answer(settings: list[Setting], metrics: list[str] | None, against: str) -> Answer:
    """The answer of some settings.

    Args:
      metrics: to compare; None for the headline of the task.
      against: name of the baseline; '' for the first setting.

    Raises:
      InputError: there is no such setting or metric, or predictions are missing.
    """
    baseline = _baseline(settings, against)
    first = settings[0].all_runs[0]
    task = judged.task_of(first)
    resamples = int(first.config["resamples"]) if task.probabilities else 0
    found = _replicates(task, settings, resamples)
    names = _metrics(task, found[baseline.name], metrics)
    gaps = {
        setting.name: {
            name: _gap(found[baseline.name], found[setting.name], name)
            for name in names
        }
        for setting in settings
        if setting.name != baseline.name
    }
    gaps = _corrected(gaps)
    best = _best(found, names)
    costs = {setting.name: _cost(setting) for setting in settings}
    rows = [
        Row(
            setting=setting,
            images=found[setting.name].images,
            patients=len(found[setting.name].patients),
            figures={name: _figure(found[setting.name], name) for name in names},
            gaps=gaps.get(setting.name, {}),
            best=frozenset(name for name in names if best[name] == setting.name),
            minutes=costs[setting.name][0],
            peak_mb=costs[setting.name][1],
        )
        for setting in settings
    ]
    return Answer(tuple(names), baseline.name, rows, resamples)


def _baseline(settings: list[Setting], against: str) -> Setting:
    if not against:
        return settings[0]
    named = [setting for setting in settings if setting.name == against]
    named = named or [s for s in settings if against in s.name]
    if len(named) != 1:
        raise InputError(
            "--against",
            f"{against!r} names {len(named)} of the settings",
            "give one of: " + "; ".join(setting.name for setting in settings),
        )
    return named[0]


def _metrics(task: Task, found: _Replicates, asked: list[str] | None) -> list[str]:
    known = found.values
    names = [name for name in asked or task.headline if name in known]
    unknown = [name for name in asked or () if name not in known]
    if unknown or not names:
        raise InputError(
            "--metrics",
            f"{', '.join(unknown or task.headline)}: not known of these runs",
            f"choose from: {', '.join(known)}",
        )
    return names


def _replicates(
    task: Task, settings: list[Setting], resamples: int
) -> dict[str, _Replicates]:
    if task.probabilities is None:
        return {setting.name: _of_results(setting) for setting in settings}
    found = {
        setting.name: [judged.judged(task, some) for some in setting.runs.values()]
        for setting in settings
    }
    everything = list(itertools.chain(*found.values()))
    seed = min(seed for setting in settings for seed in setting.runs)
    weights_of = judged.drawn(everything, resamples, seed)
    return {
        setting.name: _Replicates(
            judged.replicates(task, found[setting.name], weights_of),
            tuple(setting.runs),
            frozenset(np.concatenate([each.patients for each in found[setting.name]])),
            max(len(each.labels) for each in found[setting.name]),
        )
        for setting in settings
    }


def _of_results(setting: Setting) -> _Replicates:
    """Of a task without probabilities: what results.json says, without resamples."""
    if any(len(some) > 1 for some in setting.runs.values()):
        raise InputError(
            setting.name,
            "has folds, and its task has no predictions to pool",
            "compare runs of the whole split, or of the tasks brixia and classify",
        )
    runs = setting.all_runs
    shared = [
        name.removeprefix("test/")
        for name in runs[0].metrics
        if name.startswith("test/") and all(_is_known(run, name) for run in runs)
    ]
    values = {
        name: np.array([[run.metrics[f"test/{name}"]["value"]] for run in runs])
        for name in shared
    }
    images = max(
        (run.metrics[f"test/{name}"]["n"] for run in runs for name in shared), default=0
    )
    return _Replicates(values, tuple(setting.runs), frozenset(), images)


def _is_known(run: Finished, name: str) -> bool:
    return name in run.metrics and run.metrics[name]["value"] is not None


def _figure(found: _Replicates, name: str) -> Effect:
    return over_seeds.mean(found.values[name], len(found.patients), found.images)


def _gap(one: _Replicates, other: _Replicates, name: str) -> Gap:
    is_paired = one.seeds == other.seeds
    effect = over_seeds.difference(
        one.values[name],
        other.values[name],
        len(one.patients | other.patients),
        max(one.images, other.images),
        paired=is_paired,
    )
    return Gap(effect, effect.p, is_paired and one.patients == other.patients)


def _corrected(gaps: dict[str, dict[str, Gap]]) -> dict[str, dict[str, Gap]]:
    p = holm([gap.p for some in gaps.values() for gap in some.values()])
    corrected = iter(p)
    return {
        setting: {name: gap._replace(p=next(corrected)) for name, gap in some.items()}
        for setting, some in gaps.items()
    }


def _best(found: dict[str, _Replicates], names: list[str]) -> dict[str, str]:
    """{metric: the setting that beats every other beyond chance, or ''}."""
    ranked = [name for name in names if metric_of(name).ranks]
    top = {}
    for name in ranked:
        means = {
            setting: metric_of(name).sign * float(each.values[name][:, 0].mean())
            for setting, each in found.items()
        }
        top[name] = max(means, key=lambda setting: means[setting])
    pairs = [(name, other) for name in ranked for other in found if other != top[name]]
    gaps = [_gap(found[other], found[top[name]], name) for name, other in pairs]
    # Over all metrics, as the differences from the baseline are.
    p = dict(zip(pairs, holm([gap.p for gap in gaps]), strict=True))
    unbeaten = {name for (name, _), each in p.items() if not each < LEVEL}
    is_alone = len(found) == 1
    return {
        name: "" if is_alone or name in unbeaten else top.get(name, "")
        for name in names
    }


def _cost(setting: Setting) -> tuple[float, int | None]:
    """Minutes and most memory in MB of all attempts; NaN and None where none was seen."""
    noted = [each for run in setting.all_runs for each in attempts.read(run.path)]
    minutes = sum(each.seconds for each in noted) / 60 if noted else math.nan
    return minutes, max((each.peak_mb for each in noted if each.peak_mb), default=None)
