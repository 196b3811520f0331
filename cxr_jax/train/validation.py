"""An evaluation on val, and what follows from it for the rest of the training."""

from __future__ import annotations

import math
import time
from typing import Any

import jax
import numpy as np

from cxr_jax import rng, tasks
from cxr_jax.data import roles
from cxr_jax.data.split import Split
from cxr_jax.devices import processes
from cxr_jax.devices.terminal import say
from cxr_jax.evaluation import evaluators, labels
from cxr_jax.experiment import Experiment
from cxr_jax.metrics import Estimate, metric
from cxr_jax.runs import pictures
from cxr_jax.runs.writer import Writer
from cxr_jax.state import TrainState
from cxr_jax.train import plateau
from tfds_builders.common.errors import InputError

Memory = dict[str, Any]


def start(constant: dict[str, Any]) -> Memory:
    """What the host remembers beside the state: JSON, saved in every checkpoint.

    Args:
      constant: the best constant predictor of the training split, of the task.
    """
    return {
        "constant": constant,
        "best": None,
        "plateau": dict(plateau.START),
        "stopping": dict(plateau.START),
        "stopped": False,
        "lr_scale": 1.0,
        "interval": [],
    }


def check_selection(exp: Experiment, val: Split) -> None:
    """Sees that `config.select` can work on val: rather now than after an epoch.

    Of drawn predictions, because those of the model would be compiled for, and whether
    a metric exists and is defined depends on the labels.
    """
    targets = exp.task.targets(val)
    drawn = rng.generator(exp.config.seed, "check_selection")
    predictions = _draw(exp.task, drawn, val.size)
    evaluation, _ = evaluators.select_and_settle(exp, val, targets, predictions)
    selected(evaluation.metrics, _name(exp))


def check_labels(exp: Experiment, splits: roles.Splits) -> None:
    """Warns of classes that occur, but not in train: no figure of theirs means anything."""
    counts = {
        role: labels.count(exp.task, exp.task.targets(getattr(splits, role)))
        for role in roles.ROLES
    }
    for name in labels.untrained(counts):
        others = counts["val"][name] + counts["test"][name]
        say(
            f"WARNING: no image of train is of class {name} ({others} of val and test "
            "are): the model cannot learn it. Join classes by "
            "--config.task.settings.merge, or use more data"
        )


def _draw(task: tasks.Task, generator: np.random.Generator, size: int):
    if task.draw is not None:
        return task.draw(generator, size)
    shape = (size * task.views, task.num_outputs)
    logits = generator.normal(size=shape).astype(np.float32)
    return {"loss": logits[:, 0], **jax.tree.map(np.asarray, task.predict(logits))}


def validate(
    exp: Experiment,
    eval_step,
    state: TrainState,
    memory: Memory,
    val: Split,
    writer: Writer,
) -> tuple[Memory, bool]:
    """-> (memory with the learning-rate factor, is it the best so far?).

    One part of val picks, another settles: see `evaluation.settling`.
    """
    since, step, config = time.monotonic(), int(state.step), exp.config
    found = evaluators.predict(exp, eval_step, state, val)
    evaluation, decision = evaluators.select_and_settle(exp, val, *found)
    metrics, name = evaluation.metrics, _name(exp)
    confusion = exp.task.confusion(
        evaluation.targets, evaluation.predictions, evaluation.decision
    )
    if confusion:
        picture = pictures.confusion(
            confusion["target_by_called"], confusion["classes"]
        )
        writer.picture(step, "val/confusion", picture)
    value, loss = processes.from_first([selected(metrics, name), metrics["loss"].value])
    best = memory["best"]
    # A small val split saturates (AUROC 1 from the first epochs on): the loss decides.
    sign = -metric(name).sign
    improved = best is None or (sign * value, loss) < (
        sign * best["value"],
        best["loss"],
    )
    if improved:
        best = {
            "step": step,
            "metric": f"val/{name}",
            "value": value,
            "loss": loss,
            "decision": {**decision, **memory["constant"]},
        }
    reduced, lr_scale = plateau.reduce(
        memory["plateau"], loss, memory["lr_scale"], config.plateau, config.optim.lr
    )
    stopping, stopped = plateau.stop(memory["stopping"], loss, config.stop_patience)
    line = f"val loss {loss:.4f}  {name} {value:.4f}" + ("  best" if improved else "")
    if stopped:
        line += f"  no better for {config.stop_patience} evaluations: stopping"
    writer.evaluated(
        step, {f"val/{k}": m.value for k, m in metrics.items()}, line, since
    )
    memory = {
        **memory,
        "best": best,
        "plateau": reduced,
        "stopping": stopping,
        "stopped": stopped,
        "lr_scale": lr_scale,
    }
    return memory, improved


def _name(exp: Experiment) -> str:
    return exp.config.select or exp.task.select


def selected(metrics: dict[str, Estimate], name: str) -> float:
    """The value of the metric that picks the checkpoint.

    Raises:
      InputError: there is no such metric, or it is undefined on this split.
    """
    fit = [name for name in metrics if metric(name).ranks]
    if name not in fit:
        raise InputError(
            "--config.select",
            f"{name!r} is not a metric of the model on val",
            f"choose one of: {', '.join(fit)}",
        )
    estimate = metrics[name]
    if not math.isfinite(estimate.value):
        raise InputError(
            "--config.select",
            f"val/{name} cannot be computed: {estimate.reason or estimate.value}",
            "select by another metric (--config.select=loss) or use a larger val split",
        )
    return estimate.value
