"""What a model learns, as a record of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax.data.split import Split
from cxr_jax.metrics import Estimate
from cxr_jax.models import Output
from tfds_builders.common.errors import InputError

Arrays = dict[str, np.ndarray]


class Task(NamedTuple):
    """A task is a record of functions.

    Attributes:
      num_outputs: logits per image.
      levels: values that a label may take, 0 .. levels - 1.
      example_targets: {name: (shape, dtype)} of one example's targets.
      targets: Split -> {name: [N, ...]}; refuses a split that does not fit.
      loss: (logits [B, num_outputs], batch) -> float32 [B], to train with.
      eval_loss: the same without class weights, so that the loss of a split does not
        depend on another split.
      predict: logits -> {name: [B, ...]}, inside jit.
      compare: (logits, batch) -> more of them, inside jit: figures of each image where
        a prediction is too large to be kept.
      reads: what of the model's Output `loss`, `predict` and `compare` are given; the
        logits unless a task names something else.
      draw: (numpy generator, N) -> predictions at random, which show before the
        training whether a metric is defined; None for those of random logits.
      decide: (targets, predictions) -> JSON values settled on val, as thresholds.
      constant: targets of train -> JSON values: the best constant predictor.
      metrics: (split, targets, predictions, decision, *, resamples, seed) ->
        {name: Estimate}.
      columns: (targets, predictions) -> {column: [N]} of the predictions file.
      confusion: (targets, predictions, decision) -> {'classes', 'target_by_called'}, or
        {} where there are no classes.
      select: the metric on val that picks the checkpoint, unless the config names one.
      views: augmented views of each picture, their rows side by side in the logits,
        which are then [B * views, num_outputs].
    """

    num_outputs: int
    levels: int
    example_targets: dict[str, tuple[tuple[int, ...], Any]]
    targets: Callable[[Split], Arrays]
    loss: Callable[[jax.Array, dict[str, jax.Array]], jax.Array]
    eval_loss: Callable[[jax.Array, dict[str, jax.Array]], jax.Array]
    predict: Callable[[jax.Array], dict[str, jax.Array]]
    decide: Callable[[Arrays, Arrays], dict[str, Any]]
    constant: Callable[[Arrays], dict[str, Any]]
    metrics: Callable[..., dict[str, Estimate]]
    columns: Callable[[Arrays, Arrays], dict[str, Any]]
    confusion: Callable[[Arrays, Arrays, dict[str, Any]], dict[str, Any]]
    select: str
    compare: Callable[[Any, dict[str, jax.Array]], dict[str, jax.Array]] = (
        lambda logits, batch: {}
    )
    reads: Callable[[Output], Any] = lambda output: output.logits
    draw: Callable[[np.random.Generator, int], Arrays] | None = None
    views: int = 1


def choose_loss(by_name: dict[str, Any], name: str):
    """The loss of `config.task.loss`, or an InputError that lists them."""
    if name not in by_name:
        raise InputError(
            "config.task.loss",
            f"{name!r} is unknown",
            f"choose one of: {', '.join(by_name)}",
        )
    return by_name[name]


def refuse_unused(config: ConfigDict, who: str, keys: tuple[str, ...]) -> None:
    """A setting that would be ignored is an error, not a silent no."""
    for key in keys:
        if config[key]:
            raise InputError(
                f"config.task.{key}",
                f"is {config[key]!r}, and {who} makes no use of it",
                "take it back, or choose another task or loss",
            )
