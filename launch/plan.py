"""The runs of a sweep: a config file with `get_config` and `sweep(add)`."""

from __future__ import annotations

import importlib.util
import pathlib
import traceback
import types
from typing import Any, NamedTuple

from tfds_builders.common.errors import InputError


class Run(NamedTuple):
    """One run: its folder name and what it changes in the config."""

    name: str
    overrides: dict[str, Any]


def load(config: str) -> list[Run]:
    """Reads the runs of `configs/ablations/loss.py[:argument]` in their order.

    Raises:
      InputError: no such file, one that cannot be imported or lacks a function, two
        equal runs, or a key that the config does not have.
    """
    path = pathlib.Path(config.partition(":")[0])
    if not path.is_file():
        raise InputError(path, "is no file", "give one of configs/ablations/")
    module = _import(path)
    if not hasattr(module, "get_config"):
        raise InputError(path, "has no get_config()", "return a config of configs/")
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


def _import(path: pathlib.Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("sweep_config", path)
    if spec is None:
        raise InputError(path, "is no Python file", "give one of configs/ablations/")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except ModuleNotFoundError as error:
        raise InputError(
            path,
            f"cannot be imported: {error}",
            "correct the import, or install the repository (pip install -e .) or go to "
            "the folder that holds configs/",
        ) from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        where = f"line {lines[-1]}: " if lines else ""
        raise InputError(
            path,
            f"cannot be imported: {where}{type(error).__name__}: {error}",
            "correct it",
        ) from error
    return module


def _check(path, config, key: str, value: Any) -> None:
    try:
        config.update_from_flattened_dict({key: value})
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            path, f"sets {key}={value!r}: {error}", "use a key of the config"
        ) from None
