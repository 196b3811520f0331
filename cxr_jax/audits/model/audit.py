"""What a trained model looks at and stands: --mode=audit --checkpoint=runs/a.

Its test pictures are shown to it again with parts hidden, altered, and group by group.
Every figure is the task's headline on the same resamples over patients, so shares and
gaps have intervals of their own.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

import numpy as np

from cxr_jax import experiment
from cxr_jax.audits.model import (
    agreement_groups,
    alterations,
    controls,
    looking,
    report,
    subgroups,
)
from cxr_jax.data import cache, roles, source
from cxr_jax.evaluation import compare, evaluators
from cxr_jax.runs import predictions, restore, results
from cxr_jax.runs.writer import say
from cxr_jax.stats import bootstrap
from cxr_jax.stats.bootstrap import Estimate
from tfds_builders.common import files


class Model(NamedTuple):
    """A trained run with its test pictures in memory.

    Attributes:
      exp, state, eval_step, decision: of the run.
      split: with `pixels`.
      counts: of `bootstrap.weights`.
      figure: name of the headline figure.
    """

    exp: experiment.Experiment
    state: Any
    eval_step: Any
    decision: dict[str, Any]
    split: source.Split
    counts: np.ndarray
    figure: str

    def said(self, pixels: np.ndarray | None = None):
        """Labels [N, G] and probabilities [N, G, K], on other pixels of the images."""
        split = self.split
        if pixels is not None:
            split = split._replace(pixels={**split.pixels, "image": pixels})
        return evaluators.judge(self.exp, self.eval_step, self.state, split)

    def statistics(self, labels: np.ndarray, probs: np.ndarray):
        """{metric: weights -> figure} of what it said of some images."""
        task = self.exp.task
        return task.probabilities.statistics(labels, probs, self.decision)

    def replicates(self, labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
        """The headline figure, of the split and its resamples: [R + 1]."""
        statistic = self.statistics(labels, probs)[self.figure]
        return bootstrap.replicates(statistic, self.counts)


def audit(checkpoint_of: pathlib.Path, workdir: pathlib.Path) -> int:
    """Audits the best checkpoint of a run on its test split.

    Args:
      checkpoint_of: the workdir of the run.
      workdir: `model_audit.json` is written there.

    Returns:
      The exit code, 0: a verdict is for a person to act on.
    """
    model, lungs = _open(checkpoint_of)
    labels, probs = model.said()
    whole = model.replicates(labels, probs)
    estimate = bootstrap.summary(whole, model.split.size, undefined="undefined")
    chance = report.CHANCE[model.figure]
    hidden = _hide(model, lungs, whole, chance)
    altered = _alter(model, whole)
    rows, agreed = _group(model, labels, probs)
    grouped = [
        row for row in rows if row.gaps[model.figure].reason != subgroups.FEW_OTHERS
    ]
    looked = looking.look(
        model.exp, model.state, model.split, lungs, model.exp.config.seed
    )
    lines = report.verdicts(model.figure, estimate, hidden, altered, grouped, agreed)
    lines += [report.of_look(each) for each in looked]
    say(
        "\n".join(
            report.tables(model.split, model.figure, estimate, hidden, altered, grouped)
        )
    )
    say("\n".join(["", "In words", *map(report.wrapped, lines)]))
    content = {
        "run": str(checkpoint_of),
        "dataset": model.split.dataset,
        "synthetic": model.split.synthetic,
        "size": results.size(model.split),
        "figure": model.figure,
        "chance": chance,
        "whole": results.estimate_to_json(estimate),
        **_to_json(hidden, altered),
        "groups": [_group_to_json(row, model.figure) for row in grouped],
        "subgroups": [_row_to_json(row) for row in rows],
        "agreement": [_limits_to_json(each) for each in agreed],
        "looking": [looking.to_json(each) for each in looked],
        "verdicts": [line.strip() for line in lines],
    }
    path = workdir / "model_audit.json"
    files.write_text(path, json.dumps(content, indent=1) + "\n")
    say(f"\nwritten: {path}")
    return 0


def _to_json(hidden, altered) -> dict[str, Any]:
    to_json = results.estimate_to_json
    return {
        "hidden": {
            name: results.estimates_to_json(found) for name, found in hidden.items()
        },
        "altered": {
            name: {
                "unit": alterations.ALTERATIONS[name].unit,
                "strengths": list(alterations.ALTERATIONS[name].strengths),
                "figure": [to_json(one) for one, _ in found],
                "lost": [to_json(lost) for _, lost in found],
            }
            for name, found in altered.items()
        },
    }


def _group_to_json(row: subgroups.Row, figure: str) -> dict[str, Any]:
    return {
        "attribute": row.attribute,
        "group": row.name,
        "images": row.images,
        "figure": results.estimate_to_json(row.figures[figure]),
        "gap": results.estimate_to_json(row.gaps[figure]),
    }


def _row_to_json(row: subgroups.Row) -> dict[str, Any]:
    return {
        "attribute": row.attribute,
        "group": row.name,
        "images": row.images,
        "patients": row.patients,
        "metrics": results.estimates_to_json(row.figures),
        "gaps": results.estimates_to_json(row.gaps),
    }


def _limits_to_json(found: agreement_groups.Limits) -> dict[str, Any]:
    figures = {name: getattr(found, name) for name in ("bias", "sd", "low", "high")}
    return {
        "attribute": found.attribute,
        "group": found.name,
        "images": found.images,
        "patients": found.patients,
        **results.estimates_to_json(figures),
    }


def _open(folder: pathlib.Path) -> tuple[Model, np.ndarray | None]:
    run = predictions.read(folder)
    config = run.config
    predictions.task_of(run)
    splits = roles.open_splits(config.data, predictions.home(run))
    predictions.check_data([run], splits.description)
    split = splits.test
    exp, state, eval_step, best = restore.load(folder, config, split)
    size, square = config.data.size, config.data.square
    split = split._replace(pixels=cache.decoded(split, size, square))
    resamples = max(config.resamples, compare.LEAST_RESAMPLES)
    counts = bootstrap.weights(split.table["patient_id"], resamples, config.seed)
    figure = compare.headline(config.task)
    parts = (exp, state, eval_step, best["decision"], split, counts, figure)
    return Model(*parts), _lungs(split, size, square)


def _lungs(split: source.Split, size: int, square: str) -> np.ndarray | None:
    """Masks [N, size, size, 1] where the dataset has them."""
    if split.size == 0 or "mask" not in split.read(int(split.rows[0])):
        return None
    masks = [split.read(int(row))["mask"] for row in split.rows]
    return np.stack([source.decode_mask(png, size, square) for png in masks]) > 0


def _group(model: Model, labels, probs):
    """(every metric by group, limits of agreement by group of the task brixia)."""
    table, names = model.split.table, model.split.label_names

    def make(members):
        return model.statistics(labels[members], probs[members])

    rows = subgroups.of_metrics(table, names, make, model.counts)
    if not model.exp.task.probabilities.is_graded:
        return rows, []
    expected = probs @ np.arange(probs.shape[-1])
    return rows, agreement_groups.limits(table, names, labels, expected, model.counts)


def _hide(model: Model, lungs, whole, chance) -> dict[str, dict[str, Estimate]]:
    """{control: its figure, and which share of it is left above chance}."""
    found = {}
    for control in controls.controls(lungs is not None):
        pixels = control.apply(model.split.pixels["image"], lungs)
        values = model.replicates(*model.said(pixels))
        n = model.split.size
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio, left = values / whole, (values - chance) / (whole - chance)
        undefined = "undefined on these pictures"
        found[control.name] = {
            "figure": bootstrap.summary(values, n, undefined=undefined),
            "ratio": bootstrap.summary(ratio, n, undefined=undefined),
            "left": bootstrap.summary(left, n, undefined=undefined),
        }
    return found


def _alter(model: Model, whole) -> dict[str, list[tuple[Estimate, Estimate]]]:
    """{alteration: (figure, what it lost) at every strength}."""
    found = {}
    for name, alteration in alterations.ALTERATIONS.items():
        found[name] = []
        for strength in alteration.strengths:
            pixels = alterations.alter(
                model.split.pixels["image"], name, strength, model.exp.config.seed
            )
            values = model.replicates(*model.said(pixels))
            n = model.split.size
            found[name].append(
                (
                    bootstrap.summary(values, n, undefined="undefined"),
                    bootstrap.summary(whole - values, n, undefined="undefined"),
                )
            )
    return found
