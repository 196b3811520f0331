"""Ensembles: the mean of the probabilities that finished runs have stored.

No model is run again: the predictions files are read. Every member is divided
by a temperature fitted on val before the average (Guo et al. 2017, arXiv 1706.04599);
the plain average (Hansen and Salamon 1990, doi 10.1109/34.58871) and every member are
shown beside it. An average of calibrated members is underconfident (Rahaman and
Thiery 2021, arXiv 2007.08792): so an average that is tempered last is there as well.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import metrics
from cxr_jax.data import roles
from cxr_jax.devices.terminal import say
from cxr_jax.evaluation import evaluate, evaluators, settling
from cxr_jax.evaluation.evaluators import Evaluation
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.runs import provenance, results
from cxr_jax.runs.predictions import Stored
from cxr_jax.stats import bootstrap, calibration, tempering
from cxr_jax.stats.bootstrap import Resamples
from cxr_jax.tasks import Task, make_task
from tfds_builders.common.errors import InputError

# Untempered; of tempered members, which is the ensemble; and tempered as a whole.
AVERAGE, TEMPERED, LAST = "average", "tempered average", "average tempered last"


class Predictor(NamedTuple):
    """A member, or an average of all of them.

    Attributes:
      members: their numbers.
      temperatures: by which each is divided, 1 leaving it as it is.
      decision: what was chosen on val, such as thresholds.
      last: the temperature of the average.
    """

    members: tuple[int, ...]
    temperatures: tuple[float, ...]
    decision: dict[str, Any]
    last: float = 1.0


def combine(
    config: ConfigDict | None,
    folders: Sequence[str],
    workdir: pathlib.Path,
    eval_on: str = ":test",
) -> int:
    """Averages runs on val and test, and on a further dataset where one is named.

    Args:
      config: None for that of the first run; a given one may differ from it where
        `--mode=eval` lets it.
      folders: of `--runs`, see `stored.find`.
      workdir: of the ensemble; docs/runs.md lists what it holds afterwards.
      eval_on: a dataset that every run was evaluated on, as in `--mode=eval`; ':test'
        is none.

    Returns:
      The exit code.

    Raises:
      InputError: runs that are not finished, or differ in dataset, examples, labels,
        task or classes.
    """
    runs = stored_lib.find(folders)
    stored_lib.check_alike(runs)
    config = evaluate.allowed(config, runs[0].config, runs[0].workdir)
    if (workdir / "config.json").exists():
        raise InputError(workdir, "is the workdir of a run", "give another --workdir")
    task, home = make_task(config.task), stored_lib.home(runs[0])
    splits = roles.open_splits(config.data, home)
    stored_lib.check_data(runs, splits.description)
    names = {role: f"{splits.val.dataset}-{role}" for role in ("val", "test")}
    stored = {
        role: stored_lib.gather(task, runs, getattr(splits, role), name)
        for role, name in names.items()
    }
    predictors = make_predictors(task, runs, stored["val"])
    about = {
        "shared_patients": roles.shared_patients(splits),
        "dataset": splits.description["name"],
        "synthetic": splits.description["synthetic"],
        "provenance": provenance.collect(splits.description),
    }
    judge = partial(report, task, config, runs, predictors)
    judge(stored, names, about, workdir, workdir / "results.json", "test")
    if eval_on not in ("", ":test"):
        builder, split, name = evaluate.open_split(config, home, eval_on)
        how = (
            f"python -m cxr_jax.main --mode=eval --workdir=WORKDIR --eval_on={eval_on}"
        )
        other = {split.split: stored_lib.gather(task, runs, split, name, how)}
        about = {"dataset": builder.info.full_name, "synthetic": split.synthetic}
        path = workdir / "evaluations" / f"{name}.json"
        judge(other, {split.split: name}, about, workdir, path, split.split)
    return 0


def make_predictors(
    task: Task, runs: list[stored_lib.Run], val: Stored
) -> dict[str, Predictor]:
    """{name: Predictor} of every member and of the three averages.

    Temperatures are fitted on the part of val that picked no member, and thresholds of
    the averages chosen there: see `settling`.
    """
    patients = np.asarray(val.split.table["patient_id"])
    rows = settling.parts(task, patients, val.targets).settling
    labels = val.labels[rows]
    best = [run.results["best"]["decision"] for run in runs]
    # Those of a constant predictor, where all were trained on the same labels.
    shared = {k: v for k, v in best[0].items() if all(b.get(k) == v for b in best)}
    everyone = tuple(range(len(runs)))
    fitted = [calibration.fit_temperature(probs[rows], labels) for probs in val.probs]
    plain = Predictor(everyone, (1.0,) * len(runs), {})
    last = calibration.fit_temperature(probabilities(plain, val)[rows], labels)
    averages = {
        AVERAGE: plain,
        TEMPERED: plain._replace(temperatures=tuple(fitted)),
        LAST: plain._replace(last=last),
    }
    single = {
        str(run.workdir): Predictor((k,), (1.0,), {}) for k, run in enumerate(runs)
    }
    decided = {}
    for name, predictor in (single | averages).items():
        own = settling.at(predict(task, predictor, val), rows)
        chosen = task.decide(settling.at(val.targets, rows), own, patients[rows])
        # A member keeps its own; what its version did not choose yet is added.
        own = best[predictor.members[0]] if name in single else {}
        decided[name] = predictor._replace(decision={**shared, **chosen, **own})
    return decided


def probabilities(predictor: Predictor, stored: Stored) -> np.ndarray:
    """The mean over the members of their tempered probabilities: [N, G, K]."""
    pairs = zip(predictor.members, predictor.temperatures, strict=True)
    parts = [_tempered(stored.probs[k], temperature) for k, temperature in pairs]
    return _tempered(np.mean(parts, axis=0), predictor.last)


def _tempered(probs: np.ndarray, temperature: float) -> np.ndarray:
    # By 1 nothing changes, not even the last digit: thresholds lie on probabilities.
    return probs if temperature == 1 else tempering.tempered(probs, temperature)


def predict(task: Task, predictor: Predictor, stored: Stored) -> dict[str, np.ndarray]:
    """The task's predictions, `loss` [N] among them, as a model would have given them.

    From the logarithms of the probabilities, which are logits that lead back to them.
    """
    probs = probabilities(predictor, stored)
    logits = tempering.log_probabilities(probs)
    if logits[0].size > task.num_outputs:  # one logit tells two classes apart
        logits = logits[..., 1] - logits[..., 0]
    logits = logits.reshape(len(logits), task.num_outputs).astype(np.float32)
    found = {"loss": task.eval_loss(logits, stored.targets), **task.predict(logits)}
    found = jax.tree.map(np.asarray, found)
    # As they are, without the rounding of there and back.
    return found | {"probs": probs.reshape(found["probs"].shape).astype(np.float32)}


def judged(
    task: Task, predictor: Predictor, stored: Stored, resamples: Resamples
) -> Evaluation:
    """All metrics of the task, and `log_loss`, the same for members of any loss."""
    predictions = predict(task, predictor, stored)
    found = task.metrics(
        stored.split, stored.targets, predictions, predictor.decision, resamples
    )
    losses = calibration.log_losses(probabilities(predictor, stored), stored.labels)
    found["log_loss"] = metrics.mean_loss(losses.mean(axis=1), resamples.weights)
    return Evaluation(
        stored.split, stored.targets, predictions, predictor.decision, found
    )


def report(
    task: Task,
    config: ConfigDict,
    runs: list[stored_lib.Run],
    predictors: dict[str, Predictor],
    stored: dict[str, Stored],
    names: dict[str, str],
    about: dict[str, Any],
    workdir: pathlib.Path,
    path: pathlib.Path,
    shown: str,
) -> None:
    """Judges all predictors on some splits; writes predictions and `path`, and shows.

    Args:
      task, config, runs, predictors: of the ensemble.
      stored, names: of each split; names are those of the predictions files.
      about: further content of the file.
      workdir, path: where predictions and results go.
      shown: the split of the table.
    """
    found: dict[str, dict[str, Evaluation]] = {name: {} for name in predictors}
    for split, each in stored.items():
        patients = each.split.table["patient_id"]
        drawn = bootstrap.draw(patients, config.resamples, config.seed)
        for name, predictor in predictors.items():
            found[name][split] = judged(task, predictor, each, drawn)
    figures = {
        name: results.to_json({split: e.metrics for split, e in each.items()})
        for name, each in found.items()
    }
    best = found[TEMPERED]
    for split, evaluation in best.items():
        predictions = workdir / "predictions" / f"{names[split]}.csv"
        evaluators.save_predictions(predictions, evaluation, task)
    temperatures = predictors[TEMPERED].temperatures
    content = {
        "metrics": figures[TEMPERED],
        AVERAGE: {"metrics": figures[AVERAGE]},
        LAST: {
            "temperature": predictors[LAST].last,
            "metrics": figures[LAST],
        },
        "members": {
            name: {
                "temperature": temperature,
                "best_step": run.results["best_step"],
                "metrics": figures[name],
            }
            for run, temperature in zip(runs, temperatures, strict=True)
            for name in (str(run.workdir),)
        },
        "decision": predictors[TEMPERED].decision,
        "confusion": {
            split: task.confusion(e.targets, e.predictions, e.decision)
            for split, e in best.items()
        },
        "sizes": {split: results.size(e.split) for split, e in best.items()},
        **about,
    }
    results.save(path, content)
    notes = [f"{t:.2f}" for t in temperatures]
    notes += ["", "as above", f"{predictors[LAST].last:.2f}"]
    show(shown, found, notes, task.headline, about["synthetic"])
    say(f"\nwritten: {path}")


def show(
    split: str,
    found: dict[str, dict[str, Evaluation]],
    notes: list[str],
    headline: Sequence[str],
    synthetic: bool,
) -> None:
    """Prints a line for every predictor: its temperature, metrics with intervals."""
    one = found[TEMPERED][split]
    say(f"\n{one.split.dataset} {split}: {results.count(one.split)}")
    if synthetic:
        say("SYNTHETIC phantoms: these figures say nothing about patients.")
    columns = [*headline[:2], "log_loss"]
    rows = [["", "temperature", *columns]]
    for (name, evaluations), note in zip(found.items(), notes, strict=True):
        cells = [evaluations[split].metrics[column].text() for column in columns]
        rows.append([name, note, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        say("  " + "  ".join(cells).rstrip())
    say(
        "members are as they were stored; 95 % intervals, bootstrap over "
        f"{one.split.unit}"
    )
