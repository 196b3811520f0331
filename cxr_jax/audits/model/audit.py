"""Shortcut and robustness audit of a trained model: --mode=audit --checkpoint=runs/a.

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
from cxr_jax.audits import verdicts
from cxr_jax.audits.model import alterations, model_printout, saliency
from cxr_jax.audits.model.conclusions import Altered, Hidden, altered, conclude, hidden
from cxr_jax.data import cache, decode, roles
from cxr_jax.data.split import Split
from cxr_jax.devices.terminal import say
from cxr_jax.evaluation import compare, evaluators, subgroups
from cxr_jax.ops import masking
from cxr_jax.runs import predictions, restore, results, text_table
from cxr_jax.stats import bootstrap
from cxr_jax.stats.estimate import json_number
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
    split: Split
    counts: np.ndarray
    figure: str

    def answers(self, pixels: np.ndarray | None = None):
        """Labels [N, G] and probabilities [N, G, K], of the images or of other pixels."""
        split = self.split
        if pixels is not None:
            split = split._replace(pixels={**split.pixels, "image": pixels})
        return evaluators.judge(self.exp, self.eval_step, self.state, split)

    def statistics(self, labels: np.ndarray, probs: np.ndarray):
        """{metric: weights -> figure} of its answers for some images."""
        task = self.exp.task
        return task.probabilities.statistics(labels, probs, self.decision)

    def area_of(self, labels: np.ndarray, probs: np.ndarray) -> int:
        """Of the headline figure: see `bootstrap.area_of`."""
        statistic = self.statistics(labels, probs)[self.figure]
        return bootstrap.area_of(statistic, self.counts)

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
      The exit code, 0: it is for a person to act on the verdicts.
    """
    model, lungs = _open(checkpoint_of)
    labels, probs = model.answers()
    estimate, chance, whole, area_of, without = _begin(model, lungs, labels, probs)
    changed = _alter(model, whole, area_of)
    rows, agreed = _group(model, labels, probs)
    grouped = [
        row for row in rows if row.gaps[model.figure].reason != subgroups.FEW_OTHERS
    ]
    maps = saliency.measure(
        model.exp, model.state, model.split, lungs, model.exp.config.seed
    )
    found = conclude(
        model.figure, chance, estimate, without, changed, grouped, agreed, maps
    )
    shown = (model.split, model.figure, estimate, without, changed, grouped)
    say("\n".join(model_printout.tables(*shown)))
    sentences = [text_table.wrapped(verdicts.words(each)) for each in found]
    say("\n".join(["", "In words", *sentences]))
    content = {
        "run": str(checkpoint_of),
        "dataset": model.split.dataset,
        "synthetic": model.split.synthetic,
        "size": results.size(model.split),
        "figure": model.figure,
        "chance": chance,
        "whole": estimate.to_json(),
        **_to_json(without, changed),
        "groups": [_group_to_json(row, model.figure) for row in grouped],
        "subgroups": [_row_to_json(row) for row in rows],
        "agreement": [_limits_to_json(each) for each in agreed],
        "attribution": [saliency.to_json(each) for each in maps],
        "verdicts": [each._asdict() for each in found],
    }
    path = workdir / "model_audit.json"
    files.write_text(path, json.dumps(content, indent=1) + "\n")
    say(f"\nwritten: {path}")
    return 0


def shortcuts(checkpoint_of: pathlib.Path) -> list[verdicts.Verdict]:
    """What the best checkpoint of a run knows without a lung: that part of `audit` alone.

    It takes seconds, where the whole takes minutes.
    """
    model, lungs = _open(checkpoint_of)
    estimate, chance, _, _, without = _begin(model, lungs, *model.answers())
    found = conclude(model.figure, chance, estimate, without, {}, [])
    return [each for each in found if "control" in each.values]


def _begin(model: Model, lungs, labels, probs):
    """(figure, chance, its replicates, images of an area, {control: what is left})."""
    whole = model.replicates(labels, probs)
    area_of = model.area_of(labels, probs)
    estimate = bootstrap.summary(
        whole, model.split.size, undefined="undefined", area_of=area_of
    )
    chance = model.exp.task.probabilities.chance(labels, model.decision)
    without = _hide(model, lungs, whole, chance, area_of)
    return estimate, chance, whole, area_of, without


def _to_json(without, changed) -> dict[str, Any]:
    return {
        "hidden": {
            name: {
                "figure": found.figure.to_json(),
                "left": found.left.to_json(),
                "p": json_number(found.p),
            }
            for name, found in without.items()
        },
        "altered": {
            name: {
                "unit": alterations.ALTERATIONS[name].unit,
                "strengths": list(alterations.ALTERATIONS[name].strengths),
                "figure": [each.figure.to_json() for each in found],
                "lost": [each.lost.to_json() for each in found],
                "p": [json_number(each.p) for each in found],
            }
            for name, found in changed.items()
        },
    }


def _group_to_json(row: subgroups.Row, figure: str) -> dict[str, Any]:
    return {
        "attribute": row.attribute,
        "group": row.name,
        "images": row.images,
        "figure": row.figures[figure].to_json(),
        "gap": row.gaps[figure].to_json(),
        "p": json_number(row.p[figure]),
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


def _limits_to_json(found: subgroups.Limits) -> dict[str, Any]:
    figures = {name: getattr(found, name) for name in ("bias", "sd", "low", "high")}
    return {
        "attribute": found.attribute,
        "group": found.name,
        "images": found.images,
        "patients": found.patients,
        **results.estimates_to_json(figures),
        "p": json_number(found.p),
    }


def _open(folder: pathlib.Path) -> tuple[Model, np.ndarray | None]:
    run = predictions.read(folder)
    config = run.config
    predictions.task_of(run)  # refuses a task without probabilities
    splits = roles.open_splits(config.data, predictions.home(run))
    predictions.check_data([run], splits.description)
    split = splits.test
    exp, state, eval_step, best = restore.load(folder, config, split)
    size, square = config.data.size, config.data.square
    split = split._replace(pixels=cache.decoded(split, size, square))
    resamples = max(config.resamples, compare.LEAST_RESAMPLES)
    counts = bootstrap.weights(split.table["patient_id"], resamples, config.seed)
    parts = (exp, state, eval_step, best["decision"], split, counts, exp.task.main)
    return Model(*parts), _lungs(split, size, square)


def _lungs(split: Split, size: int, square: str) -> np.ndarray | None:
    """Masks [N, size, size, 1] where the dataset has them."""
    if split.size == 0 or "mask" not in split.read(int(split.rows[0])):
        return None
    masks = [split.read(int(row))["mask"] for row in split.rows]
    return np.stack([decode.mask(png, size, square) for png in masks]) > 0


def _group(model: Model, labels, probs):
    """(every metric by group, limits of agreement by group of the task brixia)."""
    table, names = model.split.table, model.split.label_names

    def make(members):
        return model.statistics(labels[members], probs[members])

    rows = subgroups.of_metrics(table, names, make, model.counts, (model.figure,))
    if not model.exp.task.probabilities.is_graded:
        return rows, []
    expected = probs @ np.arange(probs.shape[-1])
    return rows, subgroups.limits(table, names, labels, expected, model.counts)


def _hide(model: Model, lungs, whole, chance, area_of: int) -> dict[str, Hidden]:
    """{control: what is left of its figure}."""
    found, images = {}, {"image": model.split.pixels["image"], "mask": lungs}
    side = images["image"].shape[1]
    for control in _distinct(masking.controls(lungs is not None), side):
        pixels = control.hide(images)["image"]
        values = model.replicates(*model.answers(pixels))
        found[control.name] = hidden(
            model.figure, values, whole, chance, model.split.size, area_of
        )
    return found


def _distinct(found: list[masking.Control], side: int) -> list[masking.Control]:
    """Without those that hide the same pixels as a later one.

    A border of 8 % is what is left of 70 % hidden, at most sizes.
    """
    white = np.full((1, side, side, 1), 255, np.uint8)
    half = np.arange(side)[:, None] < side // 2
    half = np.broadcast_to(half[None, :, :, None], white.shape)
    images = {"image": white, "mask": half}
    shown = [control.hide(images)["image"] for control in found]
    return [
        control
        for k, control in enumerate(found)
        if not any(np.array_equal(shown[k], later) for later in shown[k + 1 :])
    ]


def _alter(model: Model, whole, area_of: int) -> dict[str, list[Altered]]:
    """{alteration: what is lost at every strength}."""
    found = {}
    for name, alteration in alterations.ALTERATIONS.items():
        found[name] = []
        for strength in alteration.strengths:
            pixels = alterations.alter(
                model.split.pixels["image"], name, strength, model.exp.config.seed
            )
            values = model.replicates(*model.answers(pixels))
            found[name].append(
                altered(model.figure, values, whole, model.split.size, area_of)
            )
    return found
