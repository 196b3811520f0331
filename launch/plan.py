"""The runs of a sweep: a config file with `get_config` and `sweep(add)`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pathlib
import traceback
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from cxr_jax import config as config_lib
from tfds_builders.common.errors import InputError

_LONGEST = 200  # bytes of the name of a folder


class Run(NamedTuple):
    """One run: its folder name and its changes to the config."""

    name: str
    overrides: dict[str, Any]


def load(config: str) -> list[Run]:
    """Reads the runs of `configs/ablations/loss.py[:argument]` in order.

    Args:
      config: a file with `get_config` and `sweep(add)`, or the name of a shipped one.

    Raises:
      InputError: the file is missing, cannot be imported or lacks a function, two runs
        are equal, or the config does not have a key.
    """
    path = pathlib.Path(config_lib.locate(config).partition(":")[0])
    if not path.is_file():
        raise InputError(path, "there is no such file", _one_of_the_shipped())
    module = _import(path)
    for function, hint in (
        ("get_config", "def get_config(arg=None): ... return config"),
        ("sweep", "def sweep(add): add({'optim.lr': 1e-3}) ..."),
    ):
        if not hasattr(module, function):
            raise InputError(path, f"does not define {function}()", f"add: {hint}")
    runs: list[Run] = []

    def add(overrides: Mapping[str, Any]) -> None:
        if not isinstance(overrides, Mapping) or not all(
            isinstance(key, str) for key in overrides
        ):
            raise InputError(
                path, f"adds {overrides!r}", "give {key: value}: {'optim.lr': 1e-3}"
            )
        runs.append(Run(name(overrides), dict(overrides)))

    argument = config.partition(":")[2] or None
    with _explained(path, "fails"):
        module.sweep(add)
        known = module.get_config(argument).lock()
    for run in runs:
        if sum(run.name == other.name for other in runs) > 1:
            raise InputError(path, f"adds the run {run.name} twice", "remove one")
        for key, value in run.overrides.items():
            _check(path, known, key, value)
    if not runs:
        raise InputError(path, "sweep(add) does not add a run", "call add({...})")
    return runs


def name(overrides: dict[str, Any]) -> str:
    """{'task.loss': 'ordinal', 'seed': 1} -> 'loss=ordinal,seed=1'."""
    parts = [f"{key.split('.')[-1]}={value}" for key, value in overrides.items()]
    text = ",".join(parts) or "base"
    text = "".join(c if c.isalnum() or c in "=,.-_+" else "_" for c in text)
    if len(os.fsencode(text)) <= _LONGEST:
        return text
    # No file system takes more than 255 bytes: the end is a digest of all of it.
    return f"{text[: _LONGEST // 4]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _one_of_the_shipped() -> str:
    folders = {name: path.parent.name for name, path in config_lib.shipped().items()}
    sweeps = [name for name, folder in folders.items() if folder == "ablations"]
    return f"give a file of your own, or one of: {', '.join(sweeps)}"


@contextmanager
def _explained(path: pathlib.Path, what: str) -> Iterator[None]:
    """Turns what the code of a sweep raises into a message with its line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        where = f"line {lines[-1]}: " if lines else ""
        raise InputError(
            path, f"{what}: {where}{type(error).__name__}: {error}", "correct the file"
        ) from error


def _import(path: pathlib.Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("sweep_config", path)
    if spec is None:
        raise InputError(path, "is not a Python file", _one_of_the_shipped())
    module = importlib.util.module_from_spec(spec)
    with _explained(path, "cannot be imported"):
        try:
            spec.loader.exec_module(module)
        except ModuleNotFoundError as error:
            raise InputError(
                path,
                f"cannot be imported: {error}",
                "correct the import; shipped configs are imported by "
                "`from cxr_jax.configs import common`",
            ) from error
    return module


def _first_line(error: BaseException) -> str:
    # ml_collections adds the whole config.
    return config_lib.message(error).partition(" Other fields present")[0][:300]


def _check(path, config, key: str, value: Any) -> None:
    try:
        config.update_from_flattened_dict({key: value})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            path,
            f"sets {key}={value!r}: {_first_line(error)}",
            "use a key of the config, and a value of its type",
        ) from None
