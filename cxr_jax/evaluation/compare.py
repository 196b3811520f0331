"""Whether two runs differ: a paired comparison on the same images, over patients.

Every run is compared with the first. Both are drawn in the same resamples, so that
what makes images hard for both cancels; p is two-sided, from the same bootstrap, and
corrected over all rows by Holm's method (1979). Nothing is run again: the predictions
files are read.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.data import roles
from cxr_jax.devices.terminal import say
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.runs import results
from cxr_jax.runs.predictions import Stored
from cxr_jax.stats import bootstrap, delong
from cxr_jax.stats.estimate import Estimate, json_number, number
from cxr_jax.stats.significance import LEVEL, holm
from cxr_jax.tasks import Probabilities
from tfds_builders.common.errors import InputError

# Audits and external validation draw so many at least: every verdict needs an interval.
LEAST_RESAMPLES = 200


class Row(NamedTuple):
    """One metric of one run against the first.

    Attributes:
      metric, one, other: what is compared; `one` is the value of the first run.
      difference: other minus one.
      p: two-sided; corrected: by Holm's method. NaN where there is no interval.
    """

    metric: str
    one: float
    other: float
    difference: Estimate
    p: float
    corrected: float = float("nan")


def compare(folders: Sequence[str], workdir: pathlib.Path) -> int:
    """Compares finished runs on the test split of their dataset.

    Args:
      folders: of `--runs`, see `stored.find`; the first is what the others are compared with.
      workdir: `comparison.json` is written there.

    Returns:
      The exit code.
    """
    runs = stored_lib.find(folders)
    stored_lib.check_alike(runs)
    config, task = runs[0].config, stored_lib.task_of(runs[0])
    splits = roles.open_splits(config.data, stored_lib.home(runs[0]))
    stored_lib.check_data(runs, splits.description)
    name = f"{splits.test.dataset}-test"
    stored = stored_lib.gather(task, runs, splits.test, name)
    if not config.resamples:
        raise InputError(
            f"{runs[0].workdir}: config.resamples",
            "is 0, so there are no resamples to compare by",
            "compare runs that were trained with resamples",
        )
    patients = splits.test.table["patient_id"]
    counts = bootstrap.weights(patients, config.resamples, config.seed)
    found = compared(task.probabilities, runs, stored, counts)
    content = {
        "dataset": splits.description["name"],
        "synthetic": splits.description["synthetic"],
        "sizes": {"test": results.size(splits.test)},
        "against": str(runs[0].workdir),
        "runs": {name: [_json(row) for row in rows] for name, rows in found.items()},
    }
    if task.probabilities.is_binary:
        content["auroc_delong"] = _delong(runs, stored, patients)
    path = workdir / "comparison.json"
    results.save(path, content)
    _show(splits, runs[0].workdir, found)
    say(f"\nwritten: {path}")
    return 0


def compared(
    probabilities: Probabilities,
    runs: list[stored_lib.Run],
    stored: Stored,
    counts: np.ndarray,
) -> dict[str, list[Row]]:
    """{workdir: rows} of every run but the first.

    Args:
      probabilities: of the task of all runs.
      runs, stored: of `stored`.
      counts: of `bootstrap.weights`.
    """
    values = [
        {
            metric: bootstrap.replicates(statistic, counts)
            for metric, statistic in probabilities.statistics(
                stored.labels, probs, run.results["best"]["decision"]
            ).items()
        }
        for run, probs in zip(runs, stored.probs, strict=True)
    ]
    first, images = values[0], counts.shape[1]
    rows = [
        [difference(metric, first[metric], own[metric], images) for metric in first]
        for own in values[1:]
    ]
    corrected = iter(holm([row.p for each in rows for row in each]))
    return {
        str(run.workdir): [row._replace(corrected=next(corrected)) for row in each]
        for run, each in zip(runs[1:], rows, strict=True)
    }


def difference(metric: str, one: np.ndarray, other: np.ndarray, n: int) -> Row:
    """Of two statistics over the same resamples [R + 1], the first being the split's.

    p: twice the share of resamples on the far side of 0, the split itself counting as
    one of them (Davison and Hinkley 1997, section 4.4), so never 0.
    """
    gap = other - one
    estimate = bootstrap.summary(gap, n, undefined="undefined for one of the two")
    p = float("nan")
    if np.isfinite(estimate.lo):
        drawn = gap[1:][np.isfinite(gap[1:])]
        far = min((drawn <= 0).sum(), (drawn >= 0).sum())
        p = float(min(1.0, 2 * (far + 1) / (len(drawn) + 1)))
    return Row(metric, float(one[0]), float(other[0]), estimate, p)


def _delong(runs, stored: Stored, patients) -> dict[str, Any]:
    """The area's paired test on images, without regard for patients."""
    positive, scores = stored.labels[:, 0] == 1, stored.probs[:, :, 0, 1]
    found = {}
    for run, own in zip(runs[1:], scores[1:], strict=True):
        one = delong.compare(positive, own, scores[0], patients)
        found[str(run.workdir)] = one.difference.to_json() | {"p": json_number(one.p)}
    return found


def _json(row: Row) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "one": json_number(row.one),
        "other": json_number(row.other),
        "difference": row.difference.to_json(),
        "p": json_number(row.p),
        "p_holm": json_number(row.corrected),
    }


def _show(splits: roles.Splits, first: pathlib.Path, found: dict[str, list[Row]]):
    test = splits.test
    say(f"\n{test.dataset} test: {results.count(test)}")
    if test.synthetic:
        say("SYNTHETIC phantoms: these figures say nothing about patients.")
    for name, rows in found.items():
        say(f"\n{name} minus {first}")
        say(f"  {'':18}  first  other  difference (95 % interval)       p   p (Holm)")
        for row in rows:
            say(f"  {row.metric:18} {row.one:6.3f} {row.other:6.3f}  {_cell(row)}")
    count = sum(map(len, found.values()))
    say(
        f"\nintervals and p: bootstrap over {test.unit}, both runs on the same "
        f"resamples; Holm: over all {count} rows"
    )


def _cell(row: Row) -> str:
    gap = row.difference
    if not gap.has_interval:
        return f"{number(gap.value, sign=True)}   ({gap.reason})"
    differs = "  *" if row.corrected < LEVEL else ""
    return f"{gap.text(sign=True):28} {row.p:6.4f}   {row.corrected:6.4f}{differs}"
