"""The runs of a sweep: a config file with `get_config` and `sweep(add)`."""

from __future__ import annotations

import importlib.util
import pathlib
from typing import Any, NamedTuple

from tfds_builders.common.errors import InputError


class Run(NamedTuple):
    """One run: its folder name and what it changes in the config."""

    name: str
    overrides: dict[str, Any]


def load(config: str) -> list[Run]:
    """Reads the runs of `configs/ablations/loss.py[:argument]` in their order.

    Raises:
      InputError: no such file, no `sweep` in it, two equal runs, or a key that the
        config does not have.
    """
    path = pathlib.Path(config.partition(":")[0])
    if not path.is_file():
        raise InputError(path, "is no file", "give one of configs/ablations/")
    spec = importlib.util.spec_from_file_location("sweep_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "sweep"):
        raise InputError(
            path,
            "has no sweep(add)",
            "add: def sweep(add): add({'optim.lr': 1e-3}) ...",
        )
    runs: list[Run] = []
    module.sweep(lambda overrides: runs.append(Run(name(overrides), dict(overrides))))
    argument = config.partition(":")[2] or None
    known = module.get_config(argument).lock()
    for run in runs:
        if sum(run.name == other.name for other in runs) > 1:
            raise InputError(path, f"adds the run {run.name} twice", "remove one")
        for key, value in run.overrides.items():
            _check(path, known, key, value)
    if not runs:
        raise InputError(path, "sweep(add) adds no run", "call add({...})")
    return runs


def name(overrides: dict[str, Any]) -> str:
    """{'task.loss': 'ordinal', 'seed': 1} -> 'loss=ordinal,seed=1'."""
    parts = [f"{key.split('.')[-1]}={value}" for key, value in overrides.items()]
    text = ",".join(parts) or "base"
    return "".join(c if c.isalnum() or c in "=,.-_+" else "_" for c in text)


def _check(path, config, key: str, value: Any) -> None:
    try:
        config.update_from_flattened_dict({key: value})
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            path, f"sets {key}={value!r}: {error}", "use a key of the config"
        ) from None
