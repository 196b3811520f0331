"""The one place that checks a config: what each key may be, before anything is built.

What has to be looked up to be known (a model, an op, a loss) is checked where it is.
"""

from __future__ import annotations

import difflib
import math
import os
import pathlib
import re
import sys
from typing import Any

from ml_collections import ConfigDict

from cxr_jax.data import fitting, roles
from tfds_builders.common import places
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
    "model.dropout": (0, 1, False),
    "optim.lr": (1e-12, math.inf, False),
    "optim.weight_decay": (0, math.inf, False),
    "optim.clip_norm": (0, math.inf, False),
    "optim.ema_decay": (0, 1, False),
    "plateau.patience": (0, math.inf, True),
    "plateau.factor": (0, 1, True),
    "plateau.floor": (0, math.inf, False),
}

_CHOICES = {
    "model.dtype": ("float32", "bfloat16"),
    "model.pool": ("global", "grid", "zones", "projection", "tiles"),
    "data.square": fitting.SQUARES,
    "data.residency": ("auto", "disk", "host", "device"),
    "data.masks": (False, True),
    "data.split_by": roles.SPLIT_BY,
    "data.leaks": (False, True),
    "optim.torch_norms": (False, True),
}

_PATTERNS = ("init_excuse", "optim.no_decay", "optim.frozen_norms")

# The keys of every config, by section. Settings of models, tasks and optimisers are
# checked where those are made.
KEYS = {
    "": "seed batch_size accumulate total data task model init_from init_excuse "
    "preprocess optim plateau stop_patience every select resamples report audit",
    "data": "dataset data_dir train val test fold split_by leaks masks size square "
    "residency phantom",
    "task": "name loss label_noise settings",
    "preprocess": "train eval strength",
    "optim": "name settings lr schedule warmup weight_decay no_decay layers frozen_norms "
    "torch_norms clip_norm ema_decay",
    "plateau": "patience factor floor",
    "every": "log eval checkpoint",
    "audit": "against allow",
}

# Of every config; an older one lacks them.
_PRESENT = ("init_from", "optim.layers")

# Keys that came later, with the value that means what was done before there were any: a
# run that lacks one is the run that has it. What comes next is added here.
LATER = {"optim.torch_norms": False, "data.split_by": "patient", "data.leaks": False}

# Not every model has them, or not every version of the config.
_OPTIONAL = ("model.dropout", "model.pool", *LATER)


def check(config: ConfigDict) -> None:
    """Refuses a value that cannot mean anything, naming its key and what it may be.

    Raises:
      InputError: also where a key is missing, as in a config of an earlier version.
    """
    for section in KEYS:
        _check_keys(section, config[section] if section else config)
    for key in _PRESENT:
        _value(config, key)
    for key, (low, high, closed) in _RANGES.items():
        value = _value(config, key)
        if value is not None and not (
            low <= value < high or (closed and value == high)
        ):
            upper = "" if high == math.inf else f" to {high}"
            below = "" if closed or high == math.inf else ", less than the last"
            raise InputError(
                f"config.{key}",
                f"is {value}",
                f"give a number from {low}{upper}{below}",
            )
    for key, choices in _CHOICES.items():
        value = _value(config, key)
        if value is not None and value not in choices:
            raise InputError(
                f"config.{key}",
                f"{value!r} is unknown",
                f"choose one of: {', '.join(map(str, choices))}",
            )
    for key in _PATTERNS:
        _check_pattern(key, _value(config, key))
    widths = config.model.get("widths", (1,))
    if not widths or not all(isinstance(w, int) and w > 0 for w in widths):
        raise InputError(
            "config.model.widths", f"is {widths}", "give channels per stage: (16, 32)"
        )
    folder = config.data.data_dir
    check_encoding("config.data.data_dir", folder)
    if folder and not places.expanded(folder).is_dir():
        raise InputError(
            "config.data.data_dir",
            f"{folder} is not a folder",
            "give the --data_dir that tfds_builders.build wrote to",
        )


def completed(config: dict[str, Any]) -> dict[str, Any]:
    """A config.json of an earlier version as this one writes it: with keys of LATER."""
    made = dict(config)
    for key, value in LATER.items():
        section, _, name = key.partition(".")
        if section in made:
            made[section] = {name: value, **made[section]}
    return made


def _check_keys(section: str, found: ConfigDict) -> None:
    """Refuses a key that nothing reads, as a misspelt one in a config file."""
    known = KEYS[section].split()
    for key in found:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            raise InputError(
                "config." + f"{section}.{key}".lstrip("."),
                "is not a setting",
                f"did you mean {close[0]}?"
                if close
                else f"there are: {', '.join(known)}",
            )


def check_encoding(where: str, folder: str | pathlib.Path) -> None:
    """Refuses a folder whose name array_record and TFDS would take for another.

    They write all text as UTF-8, whatever the locale says.

    Raises:
      InputError: naming `where` it was given.
    """
    text = str(folder)
    try:
        same = os.fsencode(text) == text.encode()
    except UnicodeEncodeError:
        same = False
    if not same:
        raise InputError(
            where,
            f"{text!r} has characters that are not UTF-8 here, where the locale's "
            f"encoding is {sys.getfilesystemencoding()}: datasets cannot be kept there",
            "set LC_ALL=C.UTF-8, or give a folder with plain letters",
        )


def _check_pattern(key: str, text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise InputError(
            f"config.{key}",
            f"{text!r} is not a regular expression ({error})",
            "write one, as '(bias|scale)$'",
        ) from None


def _value(config: ConfigDict, key: str) -> Any:
    """Of a dotted key; None where the model has no such setting."""
    found = config
    for part in key.split("."):
        if part not in found:
            if key in _OPTIONAL:
                return None
            raise InputError(
                f"config.{key}",
                "is missing: the config is from an earlier version",
                "resume with that version (the run's provenance.json names it), or "
                "train again in a new --workdir",
            )
        found = found[part]
    return found
