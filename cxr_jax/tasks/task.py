"""What a model learns, as a record of functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from cxr_jax.models import Output
from cxr_jax.stats.bootstrap import Resamples
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from cxr_jax.data.split import Split

Arrays = dict[str, np.ndarray]
# {loss: (function, {setting: argument of the function})}.
Losses = Mapping[str, tuple[Callable[..., jax.Array], Mapping[str, str]]]

# Settings that are numbers: (lowest, highest, is the highest itself allowed?)
RANGES = {
    "label_smoothing": (0, 1, False),
    "mae_share": (0, 1, True),
    "dice_share": (0, 1, True),
    "focal_gamma": (0, math.inf, False),
    "temperature": (1e-3, math.inf, False),
}


class Task(NamedTuple):
    """A task is a record of functions.

    Attributes:
      name: in TASKS.
      num_outputs: logits per image.
      levels: values that a label may take, 0 .. levels - 1.
      example_targets: {name: (shape, dtype)} of one example's targets.
      targets: Split -> {name: [N, ...]}; refuses a split that does not fit.
      loss: (logits [B, num_outputs], batch) -> float32 [B], to train with.
      eval_loss: the same without class weights, so that the loss of a split does not
        depend on another split.
      predict: logits -> {name: [B, ...]}, inside jit.
      decide: (targets, predictions, patient_ids) -> JSON values chosen on val, such as
        thresholds. Of no image it gives what is right without any.
      constant: targets of train -> JSON values: the best constant predictor.
      metrics: (split, targets, predictions, decision, resamples) -> {name: Estimate}.
      columns: (targets, predictions) -> {column: [N]} of the predictions file.
      confusion: (targets, predictions, decision) -> {'classes', 'target_by_called'}, or
        {} where there are no classes.
      select: the metric on val that picks the checkpoint, unless the config names one.
      headline: the metrics by which a model is judged, the one that counts first.
      reference: what the labels are, for the report.
      compare: (logits, batch) -> more predictions, inside jit: figures of each image
        where a prediction is too large to be kept.
      reads: what of the model's Output `loss`, `predict` and `compare` are given; the
        logits unless a task names something else.
      draw: (numpy generator, N) -> predictions at random, which show before the
        training whether a metric is defined; None for those of random logits.
      views: augmented views of each picture, their rows side by side in the logits,
        which are then [B * views, num_outputs].
      class_counts: Split of train -> [K] images per class that `make_task` needs, or
        None where it needs none.
      label: the target that is a label and can be made wrong; '' where there is none.
      training_targets: like example_targets, what the loss of the training needs beside
        them, such as the scores of a second reader; more_targets: those of a split.
      probabilities: how labels and probabilities are evaluated; None where the
        predictions have no probabilities.
    """

    name: str
    num_outputs: int
    levels: int
    example_targets: dict[str, tuple[tuple[int, ...], Any]]
    targets: Callable[[Split], Arrays]
    loss: Callable[[jax.Array, dict[str, jax.Array]], jax.Array]
    eval_loss: Callable[[jax.Array, dict[str, jax.Array]], jax.Array]
    predict: Callable[[jax.Array], dict[str, jax.Array]]
    decide: Callable[[Arrays, Arrays, Any], dict[str, Any]]
    constant: Callable[[Arrays], dict[str, Any]]
    metrics: Callable[
        [Split, Arrays, Arrays, dict[str, Any], Resamples], dict[str, Estimate]
    ]
    columns: Callable[[Arrays, Arrays], dict[str, Any]]
    confusion: Callable[[Arrays, Arrays, dict[str, Any]], dict[str, Any]]
    select: str
    headline: tuple[str, ...]
    reference: str
    compare: Callable[[Any, dict[str, jax.Array]], dict[str, jax.Array]] = (
        lambda logits, batch: {}
    )
    reads: Callable[[Output], Any] = lambda output: output.logits
    draw: Callable[[np.random.Generator, int], Arrays] | None = None
    views: int = 1
    class_counts: Callable[[Split], np.ndarray | None] = lambda split: None
    label: str = ""
    training_targets: Mapping[str, tuple[tuple[int, ...], Any]] = MappingProxyType({})
    more_targets: Callable[[Split], Arrays] = lambda split: {}
    probabilities: Probabilities | None = None

    @property
    def main(self) -> str:
        """The metric that counts first."""
        return self.headline[0]


class Probabilities(NamedTuple):
    """How labels [N, G] and probabilities [N, G, K] of a task are evaluated.

    Attributes:
      classes: K names.
      questions: G names, such as the zones; ('',) where there is one question.
      is_graded: the classes are scores on a scale, whose mean has a meaning.
      statistics: (labels, probs, decision) -> {metric: weights [R, N] -> [R]}, of which
        `Task.main` is one: those by which runs and groups are compared.
      chance: (labels, decision) -> what a constant predictor reaches in `Task.main`.
      pooled: (labels, probs, decisions, fold [N], weights) -> {metric: Estimate} of
        images that were evaluated by different runs, with their decisions.
      pooled_statistics: `statistics` of the same, of (labels, probs, decisions, fold).
    """

    classes: tuple[str, ...]
    questions: tuple[str, ...]
    is_graded: bool
    statistics: Callable[..., dict[str, Callable[[np.ndarray], np.ndarray]]]
    chance: Callable[[np.ndarray, dict[str, Any]], float]
    pooled: Callable[..., dict[str, Estimate]]
    pooled_statistics: Callable[..., dict[str, Callable[[np.ndarray], np.ndarray]]]

    @property
    def is_binary(self) -> bool:
        """Whether there is one positive class, the second."""
        return len(self.classes) == 2 and not self.is_graded


def read_settings(config: ConfigDict, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`config.task.settings` over the defaults of the task.

    Raises:
      InputError: a setting that the task does not have, or a value that it cannot have.
    """
    where = "config.task.settings"
    if "settings" not in config:
        raise InputError(
            where,
            "is missing: the config was written by version 0.1 of cxr_jax",
            "train again in a new --workdir, or use version 0.1 for this run",
        )
    settings: Any = config.settings
    for key, value in settings.items():
        if key not in defaults:
            raise InputError(
                f"{where}.{key}",
                f"is not a setting of the task {config.name}",
                f"it has: {', '.join(defaults)}; begin with a config of that task",
            )
        wanted = type(defaults[key])
        if not isinstance(value, int | float if wanted is float else wanted):
            raise InputError(
                f"{where}.{key}",
                f"is {value!r}",
                f"give a value of type {wanted.__name__}, such as {defaults[key]!r}",
            )
        low, high, closed = RANGES.get(key, (-math.inf, math.inf, True))
        if key in RANGES and not (low <= value < high or (closed and value == high)):
            upper = "" if high == math.inf else f" to {high}"
            below = "" if closed or high == math.inf else ", less than the last"
            raise InputError(
                f"{where}.{key}",
                f"is {value}",
                f"give a number from {low}{upper}{below}",
            )
    return {**defaults, **settings}


def choose_loss(
    config: ConfigDict,
    losses: Losses,
    settings: Mapping[str, Any],
    defaults: Mapping[str, Any],
):
    """The loss of `config.task.loss` with its settings.

    Raises:
      InputError: no such loss, or a setting that only another loss uses was changed.
    """
    name: Any = config.loss
    if name not in losses:
        raise InputError(
            "config.task.loss",
            f"{name!r} is unknown",
            f"choose one of: {', '.join(losses)}",
        )
    function, arguments = losses[name]
    for key in {key for _, others in losses.values() for key in others}:
        if key not in arguments and settings[key] != defaults[key]:
            raise InputError(
                f"config.task.settings.{key}",
                f"is {settings[key]!r}, which the loss {name} does not use",
                f"remove it (the default is {defaults[key]!r}), or choose another loss",
            )
    return partial(
        function, **{argument: settings[key] for key, argument in arguments.items()}
    )
