"""Reduce-on-plateau and early stopping, as pure functions of a small record.

Both follow Keras (ReduceLROnPlateau with min_delta 1e-4, EarlyStopping with 0), which
the S4 reproduction needs. The record is JSON and travels in the checkpoint.
"""

from __future__ import annotations

import math
from typing import Any

from ml_collections import ConfigDict

MIN_DELTA = 1e-4

# {'best': lowest value so far, 'wait': evaluations since}
START = {"best": None, "wait": 0}


def reduce(
    record: dict[str, Any], value: float, lr_scale: float, config: ConfigDict, lr: float
) -> tuple[dict[str, Any], float]:
    """-> (record, learning-rate factor) after an evaluation.

    Args:
      record: the former one.
      value: loss on val.
      lr_scale: present factor on the learning rate.
      config: `patience` in evaluations (0: off), `factor`, `floor` (learning rate).
      lr: the base learning rate.
    """
    if not config.patience:
        return record, lr_scale
    record = _next(record, value, MIN_DELTA)
    if record["wait"] < config.patience:
        return record, lr_scale
    floor = config.floor / lr
    if lr_scale > floor:
        lr_scale = max(lr_scale * config.factor, floor)
        record = {**record, "wait": 0}
    return record, lr_scale


def stop(
    record: dict[str, Any], value: float, patience: int
) -> tuple[dict[str, Any], bool]:
    """-> (record, stop now?) after an evaluation; patience 0 never stops."""
    if not patience:
        return record, False
    record = _next(record, value, 0.0)
    return record, record["wait"] >= patience


def _next(record: dict[str, Any], value: float, min_delta: float) -> dict[str, Any]:
    best = math.inf if record["best"] is None else record["best"]
    if value < best - min_delta:
        return {"best": value, "wait": 0}
    return {**record, "wait": record["wait"] + 1}
