"""The tasks: TASKS[name](config.task, class_counts) -> Task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxr_jax.tasks import align, brixia, classify, contrast, segment
from cxr_jax.tasks.task import Probabilities, Task
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

TASKS = {
    "brixia": brixia.make_brixia,
    "classify": classify.make_classify,
    "contrast": contrast.make_contrast,
    "segment": segment.make_segment,
    "align": align.make_align,
}

# Of `config.task.settings`.
DEFAULTS = {
    "brixia": brixia.DEFAULTS,
    "classify": classify.DEFAULTS,
    "contrast": contrast.DEFAULTS,
    "segment": segment.DEFAULTS,
    "align": align.DEFAULTS,
}

__all__ = ["DEFAULTS", "TASKS", "Probabilities", "Task", "make_task"]


def make_task(config: ConfigDict, class_counts: np.ndarray | None = None) -> Task:
    """The task of `config.task`.

    Args:
      config: `config.task`.
      class_counts: of `Task.class_counts`, to train with.
    """
    if config.name not in TASKS:
        raise InputError(
            "config.task.name",
            f"{config.name!r} is unknown",
            f"choose one of: {', '.join(TASKS)}",
        )
    task = TASKS[config.name](config, class_counts)
    if config.label_noise and not task.label:
        raise InputError(
            "config.task.label_noise",
            f"is {config.label_noise}, and the task {config.name} has no labels",
            "set it to 0",
        )
    return task
