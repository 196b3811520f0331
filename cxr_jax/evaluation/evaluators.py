"""Runs the eval step over a split, each example exactly once."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.data import pipeline
from cxr_jax.data.pipeline import Examples
from cxr_jax.data.split import Split
from cxr_jax.devices import processes, sharding
from cxr_jax.evaluation import settling
from cxr_jax.experiment import Experiment
from cxr_jax.state import TrainState, evaluation_variables
from cxr_jax.stats import bootstrap
from cxr_jax.stats.estimate import Estimate
from cxr_jax.tasks import Task
from tfds_builders.common import files
from tfds_builders.common.text import csv_text


class Evaluation(NamedTuple):
    """A split, what the model predicts of it, and how good that is.

    Attributes:
      split: with N examples.
      targets: {name: [N, ...]}.
      predictions: {name: [N, ...]}, `loss` [N] among them.
      decision: what was chosen on val, such as thresholds.
      metrics: {name: Estimate}.
    """

    split: Split
    targets: dict[str, np.ndarray]
    predictions: dict[str, np.ndarray]
    decision: dict[str, Any]
    metrics: dict[str, Estimate]


def predict(
    exp: Experiment, eval_step, state: TrainState, split: Split
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """-> (targets, predictions) of the whole split, in its order.

    Args:
      exp: names the targets, the batch size and the devices.
      eval_step: of `Experiment.compile_eval_step`.
      state: whose variables for evaluation are used.
      split: what to run over.
    """
    config, targets = exp.config, exp.task.targets(split)
    variables = evaluation_variables(state)
    examples = Examples(
        split, targets, size=config.data.size, square=config.data.square
    )
    indices, outputs = [], []
    for index, batch in pipeline.eval_batches(examples, batch_size=config.batch_size):
        indices.append(index)
        outputs.append(eval_step(variables, sharding.put(batch, exp.mesh)))
    index = np.concatenate(indices)
    real = index >= 0
    if not np.array_equal(index[real], np.arange(split.size)):
        raise AssertionError(
            f"{split.dataset}:{split.split}: examples were not counted exactly once"
        )
    predictions = {
        name: np.concatenate([np.asarray(output[name]) for output in outputs])[real]
        for name in outputs[0]
    }
    return targets, predictions


def judge(
    exp: Experiment, eval_step, state: TrainState, split: Split
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N, G] and probabilities [N, G, K] of `predict`: G is 6 zones, or one."""
    targets, predictions = predict(exp, eval_step, state, split)
    (labels,) = targets.values()
    labels = labels.reshape(split.size, -1)
    probs = predictions["probs"].reshape(*labels.shape, -1)
    return labels, probs.astype(np.float64)


def evaluate(
    exp: Experiment,
    eval_step,
    state: TrainState,
    split: Split,
    decision: dict[str, Any] | None,
    *,
    resamples: int,
) -> Evaluation:
    """Predictions and metrics of a split.

    Args:
      exp, eval_step, state, split: see `predict`.
      decision: what was settled on val, such as thresholds; None to choose it on this
        very split, whose figures are then flattered.
      resamples: of the bootstrap; 0 for point estimates only.
    """
    targets, predictions = predict(exp, eval_step, state, split)
    return judged(exp, split, targets, predictions, decision, resamples=resamples)


def judged(
    exp: Experiment, split: Split, targets, predictions, decision, *, resamples: int
) -> Evaluation:
    """`evaluate` of predictions that are there."""
    patients = split.table["patient_id"]
    if decision is None:
        decision = exp.task.decide(targets, predictions, patients)
    drawn = bootstrap.draw(patients, resamples, exp.config.seed)
    metrics = exp.task.metrics(split, targets, predictions, decision, drawn)
    return Evaluation(split, targets, predictions, decision, metrics)


def select_and_settle(
    exp: Experiment, val: Split, targets, predictions
) -> tuple[Evaluation, dict[str, Any]]:
    """-> (the part of val that picks the checkpoint, what the other part settles).

    Thresholds that a metric of the first part needs are its own: the second takes no
    part in the choice.
    """
    found = settling.parts(exp.task, val.table["patient_id"], targets)
    own, rest = (
        (settling.at(targets, rows), settling.at(predictions, rows)) for rows in found
    )
    part = settling.part(val, found.selecting)
    evaluation = judged(exp, part, *own, None, resamples=0)
    patients = np.asarray(val.table["patient_id"])[found.settling]
    return evaluation, exp.task.decide(*rest, patients)


def save_predictions(path: pathlib.Path, evaluation: Evaluation, task: Task) -> None:
    """Writes a csv with one row per example."""
    split = evaluation.split
    columns = {
        "example_id": split.table["example_id"],
        "patient_id": split.table["patient_id"],
        **task.columns(evaluation.targets, evaluation.predictions),
    }
    rows = [tuple(columns), *zip(*map(_cells, columns.values()), strict=True)]
    if processes.is_first():
        files.write_text(path, csv_text(rows))


def _cells(column) -> list[str]:
    # repr of a float32 is the shortest text that reads back as the same number.
    return [
        str(value.item()) if isinstance(value, np.integer) else str(value)
        for value in column
    ]
