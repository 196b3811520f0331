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

from cxr_jax import (
    bootstrap,
    checkpoint,
    compare,
    evaluators,
    experiment,
    files,
    results,
)
from cxr_jax import config as config_lib
from cxr_jax.audits import alterations, controls, looking, model_report, subgroups
from cxr_jax.bootstrap import Estimate
from cxr_jax.data import cache, roles, source
from cxr_jax.writer import say
from tfds_builders.common.errors import InputError

# Every verdict is one of an interval.
LEAST_RESAMPLES = 200


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

    def statistic(self, pixels: np.ndarray | None = None):
        """weights -> headline figure, on other pixels of the same images."""
        split = self.split
        if pixels is not None:
            split = split._replace(pixels={**split.pixels, "image": pixels})
        targets, predictions = evaluators.predict(
            self.exp, self.eval_step, self.state, split
        )
        (labels,) = targets.values()
        labels = labels.reshape(split.size, -1)
        probs = predictions["probs"].reshape(*labels.shape, -1).astype(np.float64)
        task = self.exp.config.task.name
        return compare.statistics(task, labels, probs, self.decision)[self.figure]

    def replicates(self, pixels: np.ndarray) -> np.ndarray:
        """The headline figure of other pixels, split and resamples: [R + 1]."""
        return bootstrap.replicates(self.statistic(pixels), self.counts)


def audit(checkpoint_of: pathlib.Path, workdir: pathlib.Path) -> int:
    """Audits the best checkpoint of a run on its test split.

    Args:
      checkpoint_of: the workdir of the run.
      workdir: `model_audit.json` is written there.

    Returns:
      The exit code, 0: a verdict is for a person to act on.
    """
    model, lungs = _open(checkpoint_of)
    statistic = model.statistic()
    whole = bootstrap.replicates(statistic, model.counts)
    estimate = bootstrap.summary(whole, model.split.size, undefined="undefined")
    chance = model_report.CHANCE[model.figure]
    hidden = _hide(model, lungs, whole, chance)
    altered = _alter(model, whole)
    grouped = subgroups.groups(
        model.split.table, model.split.label_names, statistic, model.counts
    )
    looked = looking.look(
        model.exp, model.state, model.split, lungs, model.exp.config.seed
    )
    lines = model_report.verdicts(model.figure, estimate, hidden, altered, grouped)
    lines += [model_report.of_look(each) for each in looked]
    say(
        "\n".join(
            model_report.tables(
                model.split, model.figure, estimate, hidden, altered, grouped
            )
        )
    )
    say("\n".join(["", "In words", *map(model_report.wrapped, lines)]))
    content = {
        "run": str(checkpoint_of),
        "dataset": model.split.dataset,
        "synthetic": model.split.synthetic,
        "size": results.size(model.split),
        "figure": model.figure,
        "chance": chance,
        "whole": results.estimate_to_json(estimate),
        **_to_json(hidden, altered, grouped),
        "looking": [looking.to_json(each) for each in looked],
        "verdicts": [line.strip() for line in lines],
    }
    path = workdir / "model_audit.json"
    files.write_text(path, json.dumps(content, indent=1) + "\n")
    say(f"\nwritten: {path}")
    return 0


def _to_json(hidden, altered, grouped) -> dict[str, Any]:
    to_json = results.estimate_to_json
    return {
        "hidden": {
            name: {key: to_json(value) for key, value in found.items()}
            for name, found in hidden.items()
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
        "groups": [
            {
                "attribute": group.attribute,
                "group": group.name,
                "images": group.images,
                "figure": to_json(group.estimate),
                "gap": to_json(group.gap),
            }
            for group in grouped
        ],
    }


def _open(folder: pathlib.Path) -> tuple[Model, np.ndarray | None]:
    config = config_lib.from_json(folder / "config.json")
    if config.task.name not in ("brixia", "classify"):
        raise InputError(
            folder,
            f"its task is {config.task.name}",
            "a model of the task brixia or classify can be audited",
        )
    best = checkpoint.read_best(folder / "checkpoints")
    splits = roles.open_splits(config.data, folder)
    split = splits.test
    exp = experiment.build(
        config, train_examples=split.size, image_dtype=roles.image_dtype(split)
    )
    store = checkpoint.open_store(folder / "checkpoints", read_only=True)
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    size, square = config.data.size, config.data.square
    split = split._replace(pixels=cache.decoded(split, size, square))
    resamples = max(config.resamples, LEAST_RESAMPLES)
    counts = bootstrap.weights(split.table["patient_id"], resamples, config.seed)
    figure = "pearson_global" if config.task.name == "brixia" else "auroc"
    if len(config.task.classes) > 2:
        figure = "auroc_macro"
    eval_step = evaluators.compile_step(exp)
    parts = (exp, state, eval_step, best["decision"], split, counts, figure)
    return Model(*parts), _lungs(split, size, square)


def _lungs(split: source.Split, size: int, square: str) -> np.ndarray | None:
    """Masks [N, size, size, 1] where the dataset has them."""
    if split.size == 0 or "mask" not in split.read(int(split.rows[0])):
        return None
    masks = [split.read(int(row))["mask"] for row in split.rows]
    return np.stack([source.decode_mask(png, size, square) for png in masks]) > 0


def _hide(model: Model, lungs, whole, chance) -> dict[str, dict[str, Estimate]]:
    """{control: its figure, and which share of it is left above chance}."""
    found = {}
    for control in controls.controls(lungs is not None):
        pixels = control.apply(model.split.pixels["image"], lungs)
        values = model.replicates(pixels)
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
            values, n = model.replicates(pixels), model.split.size
            found[name].append(
                (
                    bootstrap.summary(values, n, undefined="undefined"),
                    bootstrap.summary(whole - values, n, undefined="undefined"),
                )
            )
    return found
