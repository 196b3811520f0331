"""What the best Brixia model of the public films is made of; see `__main__`."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from cxr_jax import config as config_lib
from cxr_jax import metrics
from cxr_jax.bundle import digests
from cxr_jax.devices.terminal import say
from cxr_jax.export import bundling
from cxr_jax.predict import gate_of_run, of_run
from cxr_jax.stats import bootstrap
from tfds_builders.common import files, places
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import FOLDS

from ... import brixia_films, jobs, local, out_of_fold, plan, register, slots
from ...out_of_fold import Pooled

CONFIG = config_lib.locate("best_brixia.py")
RESULT = "out_of_fold.json"
SETTLED_ON = "the out-of-fold predictions of the films it was trained on"
# Arguments of the config for the lungs and for the scores.
FULL = ("epochs=28", "epochs=8")
SHORT = ("epochs=12,size=256", "epochs=6,size=256")


def make(
    out: pathlib.Path,
    work: pathlib.Path,
    data: pathlib.Path,
    weights: pathlib.Path,
    arguments: tuple[str, str],
    seeds: Sequence[int],
) -> int:
    """Everything after the data; returns the exit code of the first part that fails."""
    lungs = f"{CONFIG}:lungs,weights={weights},{arguments[0]}"
    if code := train(work, lungs, {"lungs": {}}, data):
        return code
    scores = f"{CONFIG}:{arguments[1]}"
    begin = {"init_from": str(work / "lungs")}
    folds = {
        f"seed={seed},fold={fold}": {"seed": seed, "data.fold": fold} | begin
        for seed, fold in itertools.product(seeds, range(FOLDS))
    }
    if code := train(work / "folds", scores, folds, data):
        return code
    # Val and test must not be empty: a tenth of the films, of the stored val.
    every = {
        "data.train": "train+test",
        "data.val": "val[:50%]",
        "data.test": "val[50%:]",
    }
    if code := train(work, scores, {"final": every | begin}, data):
        return code
    found = out_of_fold.pool([work / "folds" / name for name in folds])
    table = measured(found, brixia_films.second_reader(data))
    files.write_text(out / RESULT, json.dumps(table, indent=1) + "\n")
    _show(table)
    publish(work / "final", found, out)
    say(f"\nwritten: {out / RESULT}\nbundle: {out}")
    return 0


def weights_of(given: str) -> pathlib.Path:
    path = places.expanded(given).absolute()
    if not given or not path.is_file():
        raise InputError(
            "--weights",
            f"there is no {path}" if given else "is not given",
            "nothing of this model can be run without ImageNet weights of MobileNetV2 "
            "(docs/weights.md): a linear layer on random features is worth nothing",
        )
    return path


def train(
    folder: pathlib.Path, config: str, runs: dict[str, dict[str, Any]], data
) -> int:
    """Trains {name: overrides} that are not finished yet; 0, or the exit code."""
    extra = [f"--config.data.data_dir={data}"]
    made = [
        plan.Run(name, changes, plan.alone(config, changes), name)
        for name, changes in runs.items()
    ]
    todo = [jobs.alone(config, folder, each, extra) for each in made]
    register.save(folder, config, extra, [jobs.part(each) for each in made])
    places_ = slots.share(1, slots.cores(), slots.gpus())
    found, stopped = local.run(folder, todo, places_)
    if stopped is not None:
        return 128 + stopped
    bad = [name for name, each in found.items() if each.state != "finished"]
    if bad:
        say(f"not finished: {', '.join(bad)}; see log.txt in {folder}")
    return 1 if bad else 0


def measured(found: Pooled, junior: dict[str, np.ndarray]) -> dict[str, Any]:
    """The table: the model, its seeds, and what it is compared with."""
    mean = found.probs.mean(axis=0)
    weights = bootstrap.weights(found.patient_ids, out_of_fold.RESAMPLES)
    model = out_of_fold.figures(found, mean)
    coverage = out_of_fold.coverage(found, mean)
    constant = np.empty(found.labels.shape)
    for fold in np.unique(found.fold):
        own = found.fold == fold
        constant[own] = metrics.constant_median(found.labels[~own])
    other = np.stack([junior[name] for name in found.example_ids])
    rows = {
        "the model": model,
        **{
            f"seed {number}": out_of_fold.figures(found, each)
            for number, each in enumerate(found.probs)
        },
        "constant median": metrics.agreement_metrics(found.labels, constant, weights)
        | _errors(found.labels, constant, weights),
        "second reader": metrics.agreement_metrics(found.labels, other, weights)
        | _errors(found.labels, other, weights),
        "the model against the mean of both readers": _errors(
            (found.labels + other) / 2, mean @ np.arange(mean.shape[-1]), weights
        ),
    }
    return {
        "metrics": _json(model | coverage),
        "patients": len(set(found.patient_ids)),
        "rows": {name: _json(row) for name, row in rows.items()},
    }


def _errors(labels, scores, weights) -> dict[str, Any]:
    error = np.asarray(scores, float) - labels
    return {
        "mae_zone": bootstrap.mean(np.abs(error).mean(axis=1), weights),
        "mae_global": bootstrap.mean(np.abs(error.sum(axis=1)), weights),
    }


def _json(found: dict[str, Any]) -> dict[str, Any]:
    return {name: each.to_json() for name, each in found.items()}


def _show(table: dict[str, Any]) -> None:
    for name, row in table["rows"].items():
        values = (f"{key} {row[key]['value']:.3f}" for key in _SHOWN if key in row)
        say(f"{name:44s} {'  '.join(values)}")
    for key in ("coverage_90_global", "width_90_global"):
        say(f"{key} {table['metrics'][key]['value']:.3f}")


_SHOWN = ("mae_zone", "mae_global", "pearson_global", "kappa_global")


def publish(workdir: pathlib.Path, found: Pooled, out: pathlib.Path) -> None:
    """The bundle of a run in `out`, settled out of fold; an older one is replaced."""
    settled = out_of_fold.decision(found, found.probs.mean(axis=0))
    opened = of_run.decided(of_run.open_run(workdir), settled, SETTLED_ON)
    new = out / "bundle"
    shutil.rmtree(new, ignore_errors=True)
    bundling.write(opened, gate_of_run.of_run(opened), new)
    # The list of digests goes first and comes last: with it the folder is a bundle.
    (out / digests.SUMS).unlink(missing_ok=True)
    for path in sorted(new.iterdir(), key=lambda path: path.name == digests.SUMS):
        target = out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(path, target)
    new.rmdir()
