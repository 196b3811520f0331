"""The tasks: TASKS[name](config.task, class_counts) -> Task."""

from __future__ import annotations

import numpy as np
from ml_collections import ConfigDict

from cxr_jax.tasks.align import make_align
from cxr_jax.tasks.brixia import make_brixia
from cxr_jax.tasks.classify import make_classify
from cxr_jax.tasks.contrast import make_contrast
from cxr_jax.tasks.segment import make_segment
from cxr_jax.tasks.task import Task
from tfds_builders.common.errors import InputError

TASKS = {
    "brixia": make_brixia,
    "classify": make_classify,
    "contrast": make_contrast,
    "segment": make_segment,
    "align": make_align,
}

__all__ = ["TASKS", "Task", "make_task"]


def make_task(config: ConfigDict, class_counts: np.ndarray | None = None) -> Task:
    """The task of `config.task`.

    Args:
      config: `config.task`.
      class_counts: images per class in train, where `balanced` is set.
    """
    if config.name not in TASKS:
        raise InputError(
            "config.task.name",
            f"{config.name!r} is unknown",
            f"choose one of: {', '.join(TASKS)}",
        )
    return TASKS[config.name](config, class_counts)
