"""What the best Brixia model of the public films is made of; see `__main__`."""

from __future__ import annotations

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
from tfds_builders.common.zones import LEVELS

from ... import (
    jobs,
    local,
    out_of_fold,
    plan,
    register,
    slots,
    zone_features,
    zone_ridge,
)
from ...out_of_fold import Pooled
from ...zone_features import Zones

CONFIG = config_lib.locate("best_brixia.py")
RESULT = "out_of_fold.json"
PLAIN = "a ridge on frozen ImageNet features"
SETTLED_ON = "the out-of-fold predictions of the films it was trained on"
# Arguments of the config for the lungs: of a full run, and of --quick.
FULL, SHORT = "epochs=28", "epochs=14"


def make(
    out: pathlib.Path,
    work: pathlib.Path,
    data: pathlib.Path,
    weights: pathlib.Path,
    argument: str,
    seeds: Sequence[int],
    proper: Sequence[pathlib.Path],
) -> int:
    """Everything after the data; returns the exit code of the first part that fails.

    argument: of the config, for the lungs. proper: films that the gate must let pass.
    """
    lungs = f"{CONFIG}:lungs,weights={weights},{argument}"
    runs = {f"seed={seed}": {"seed": seed} for seed in seeds}
    if code := train(work / "lungs", lungs, runs, data):
        return code
    model = plan.alone(CONFIG, {"data.data_dir": str(data)})
    seen = [_seen(model, work, name) for name in runs]
    found = predicted(seen)
    table = measured(found, seen[0])
    _show(table)
    films = _films(seen[0], seen[0].groups)
    every = zone_ridge.fit(films, np.ones(len(films.patients), bool))
    lungs_run = work / "lungs" / f"seed={seeds[0]}"
    arrays = zone_features.fitted_arrays(model, lungs_run, every)
    zone_features.write(work / "fitted.npz", arrays)
    # Val and test must not be empty: a tenth of the films, which it has learned as well.
    roles = {
        "data.train": "train+test",
        "data.val": "val[:50%]",
        "data.test": "val[50%:]",
    }
    fitted = f"{CONFIG}:weights={work / 'fitted.npz'}"
    if code := train(work, fitted, {"final": roles}, data):
        return code
    publish(work / "final", found, out, proper)
    # Last: where it is, `make results` takes the program for finished.
    files.write_text(out / RESULT, json.dumps(table, indent=1) + "\n")
    say(f"\nwritten: {out / RESULT}\nbundle: {out}")
    return 0


def predicted(seen: Sequence[Zones], kind: str = "groups") -> Pooled:
    """Every film by the ridge of the other folds, once for each seed of the lungs.

    kind: of features, 'groups' or 'plain'.
    """
    first = seen[0]
    tested = first.fold != zone_features.UNTESTED
    probs = np.empty((len(seen), *first.senior.shape, LEVELS))
    for each, its in zip(seen, probs, strict=True):
        groups = getattr(each, kind)
        films = _films(each, groups)
        for fold in np.unique(each.fold[tested]):
            own = each.fold == fold
            fitted = zone_ridge.fit(films, ~own)
            its[own] = zone_ridge.probabilities(fitted, [g[own] for g in groups])
    places = np.flatnonzero(tested)
    return Pooled(
        [first.example_ids[i] for i in places],
        [first.patient_ids[i] for i in places],
        first.fold[tested],
        first.senior[tested],
        probs[:, tested],
    )


def _seen(model: dict[str, Any], work: pathlib.Path, name: str) -> Zones:
    """The zones of all films, with the lungs of one seed."""
    lungs, kept = work / "lungs" / name, work / "features"
    scored = zone_features.scored(model, lungs, kept / f"{name}.npz")
    healthy = zone_features.healthy(model, lungs, kept / f"{name},healthy.npz")
    return zone_features.joined(scored, healthy)


def _films(zones: Zones, groups: Sequence[np.ndarray]) -> zone_ridge.Films:
    return zone_ridge.Films(groups, zones.senior, zones.junior, zones.patient_ids)


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


def measured(found: Pooled, zones: Zones) -> dict[str, Any]:
    """The table: the model, its seeds, and what it is compared with.

    The model is that of the first seed, the one that is published.
    """
    probs = found.probs[0]
    weights = bootstrap.weights(found.patient_ids, out_of_fold.RESAMPLES)
    of_seeds = [out_of_fold.figures(found, each) for each in found.probs]
    coverage = out_of_fold.coverage(found, probs)
    constant = np.empty(found.labels.shape)
    for fold in np.unique(found.fold):
        own = found.fold == fold
        constant[own] = metrics.constant_median(found.labels[~own])
    plain = predicted([zones], "plain")
    junior = zones.junior[zones.fold != zone_features.UNTESTED]
    rows = {
        "the model": of_seeds[0],
        **{f"seed {number}": each for number, each in enumerate(of_seeds)},
        PLAIN: out_of_fold.figures(plain, plain.probs[0]),
        "constant median": metrics.agreement_metrics(found.labels, constant, weights)
        | _errors(found.labels, constant, weights),
        "second reader": metrics.agreement_metrics(found.labels, junior, weights)
        | _errors(found.labels, junior, weights),
        "the model against the mean of both readers": _errors(
            (found.labels + junior) / 2,
            probs @ np.arange(probs.shape[-1]),
            weights,
        ),
    }
    return {
        "metrics": _json(of_seeds[0] | coverage),
        "patients": len(set(found.patient_ids)),
        "healthy": len(zones.fold) - len(found.fold),
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


def publish(
    workdir: pathlib.Path,
    found: Pooled,
    out: pathlib.Path,
    proper: Sequence[pathlib.Path],
) -> None:
    """The bundle of a run in `out`, settled out of fold; an older one is replaced."""
    probs = found.probs[0]
    settled = out_of_fold.decision(found, probs)
    opened = of_run.decided(of_run.open_run(workdir), settled, SETTLED_ON)
    figures = out_of_fold.figures(found, probs) | out_of_fold.coverage(found, probs)
    opened = opened._replace(measured=figures)
    new = out / "bundle"
    shutil.rmtree(new, ignore_errors=True)
    say(f"gate: also fitted to {len(proper)} films of other patients")
    bundling.write(opened, gate_of_run.fitted(opened, proper), new)
    # The list of digests goes first and comes last: with it the folder is a bundle.
    # What an older one has beside this one's files goes too.
    for name in (digests.SUMS, *digests.MODELS.values()):
        (out / name).unlink(missing_ok=True)
    for path in sorted(new.iterdir(), key=lambda path: path.name == digests.SUMS):
        target = out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(path, target)
    new.rmdir()
