"""The range of every number in a config."""

from __future__ import annotations

import math
import re

from ml_collections import ConfigDict

from tfds_builders.common.errors import InputError

# key: (lowest, highest, is the highest itself allowed?)
_RANGES = {
    "seed": (0, 2**31, False),
    "batch_size": (1, math.inf, True),
    "accumulate": (1, 1024, True),
    "preprocess.strength": (0, 3, True),
    "task.label_noise": (0, 1, True),
    "resamples": (0, 1_000_000, True),
    "stop_patience": (0, math.inf, True),
    "data.fold": (-1, math.inf, True),
    "data.size": (1, 16384, True),
    "data.phantom": (0, math.inf, True),
    "data.masks": (False, True, True),
    "model.dropout": (0, 1, False),
    "optim.lr": (1e-12, math.inf, False),
    "optim.weight_decay": (0, math.inf, False),
    "optim.clip_norm": (0, math.inf, False),
    "optim.ema_decay": (0, 1, False),
    "plateau.patience": (0, math.inf, True),
    "plateau.factor": (0, 1, True),
    "plateau.floor": (0, math.inf, False),
}

_TEXTS = ("init_from", "init_excuse", "optim.layers", "optim.frozen_norms")

_POOLS = ("global", "grid", "zones", "projection")

_DTYPES = ("float32", "bfloat16")


def check(config: ConfigDict) -> None:
    """Refuses a number outside its range, naming the key and the range."""
    for key in _TEXTS:
        _value(config, key)
    for key, (low, high, closed) in _RANGES.items():
        if key == "model.dropout" and "dropout" not in config.model:
            continue  # not every model has it
        value = _value(config, key)
        if not (low <= value < high or (closed and value == high)):
            upper = "" if high == math.inf else f" to {high}"
            below = "" if closed or high == math.inf else ", less than the last"
            raise InputError(
                f"config.{key}",
                f"is {value}",
                f"give a number from {low}{upper}{below}",
            )
    if config.model.dtype not in _DTYPES:
        raise InputError(
            "config.model.dtype",
            f"{config.model.dtype!r} is unknown",
            f"choose one of: {', '.join(_DTYPES)}",
        )
    widths = config.model.get("widths", (1,))
    if not widths or not all(isinstance(w, int) and w > 0 for w in widths):
        raise InputError(
            "config.model.widths", f"is {widths}", "give channels per stage: (16, 32)"
        )
    if config.model.get("pool", "global") not in _POOLS:
        raise InputError(
            "config.model.pool",
            f"{config.model.pool!r} is unknown",
            f"choose one of: {', '.join(_POOLS)}",
        )
    for key in ("no_decay", "frozen_norms"):
        try:
            re.compile(config.optim[key])
        except re.error as error:
            raise InputError(
                f"config.optim.{key}",
                f"{config.optim[key]!r} is no regular expression ({error})",
                "as '(bias|scale)$'",
            ) from None


def _value(config: ConfigDict, key: str):
    found = config
    for part in key.split("."):
        if part not in found:
            raise InputError(
                f"config.{key}",
                "is missing: the config is of an earlier version",
                "go on with that version (the run's provenance.json names it), or train "
                "again in a new --workdir",
            )
        found = found[part]
    return found
