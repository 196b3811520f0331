"""The runs of a sweep: a config file with `get_config` and `sweep(add)`."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pathlib
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from cxr_jax import config as config_lib
from tfds_builders.common.errors import InputError

_LONGEST = 200  # bytes of the name of a folder
# The location of the data does not change their content, nor what a run is.
MOVES = ("data", "data_dir")
_PLACE = ".".join(MOVES)
# The keys in which runs of one setting differ.
REPEATS = ("seed", "data.fold")


class Run(NamedTuple):
    """One run: its changes to the config, and what it is then.

    Attributes:
      name: made of the changes, see `name`.
      overrides: {'optim.lr': 1e-3}.
      config: the whole, as JSON values: that of the file, the changes for every run
        and those of this one.
      folder: name of its workdir in that of the sweep; see `unique.placed`.
      setting: what `collect` calls it and the runs of other seeds and folds; '' for its
        changes.
    """

    name: str
    overrides: dict[str, Any]
    config: dict[str, Any]
    folder: str
    setting: str = ""


def load(config: str, extra: Sequence[str] = ()) -> list[Run]:
    """Reads the runs of `configs/ablations/loss.py[:argument]` in order.

    Args:
      config: a file with `get_config` and `sweep(add)`, or the name of a shipped one.
      extra: overrides for every run, '--config.total=2epochs'.

    Raises:
      InputError: the file is missing, cannot be imported or lacks a function, two runs
        are equal, or the config does not have a key.
    """
    path, module = open_file(config, "sweep", "add({'optim.lr': 1e-3}) ...")
    changes: list[dict[str, Any]] = []
    settings: list[str] = []

    def add(overrides: Mapping[str, Any], setting: str = "") -> None:
        if not isinstance(overrides, Mapping) or not all(
            isinstance(key, str) for key in overrides
        ):
            raise InputError(
                path, f"adds {overrides!r}", "give {key: value}: {'optim.lr': 1e-3}"
            )
        if _PLACE in overrides:
            raise InputError(
                path,
                f"varies {_PLACE}, which says where films are and not which: all these "
                "runs would count as one",
                "vary data.dataset, or give each its own sweep",
            )
        changes.append(dict(overrides))
        settings.append(str(setting))

    with explained(path, "fails"):
        module.sweep(add)
    names = [name(*each) for each in zip(changes, settings, strict=True)]
    for each in names:
        if names.count(each) > 1:
            raise InputError(path, f"adds the run {each} twice", "remove one")
    if not names:
        raise InputError(path, "sweep(add) does not add a run", "call add({...})")
    check_extra(extra, {key for each in changes for key in each})
    base = read_config(config, path, module, extra)
    return [
        Run(text, each, changed(path, base, each), text, setting)
        for text, each, setting in zip(names, changes, settings, strict=True)
    ]


def alone(config: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a file that need not be a sweep, with changes, as JSON values.

    Args:
      config: 'FILE[:argument]', or the name of a shipped file.

    Raises:
      InputError: there is no such file, it fails, or has no such keys.
    """
    path = pathlib.Path(config_lib.locate(config).partition(":")[0])
    if not path.is_file():
        raise InputError(path, "there is no such file", "give a file with get_config")
    return changed(path, read_config(config, path, _import(path), ()), overrides)


def question(config: str) -> str:
    """The first line of the docstring of a sweep or search; '' where it has none."""
    module = _import(pathlib.Path(config_lib.locate(config).partition(":")[0]))
    return (module.__doc__ or "").strip().partition("\n")[0]


def open_file(
    config: str, function: str, example: str
) -> tuple[pathlib.Path, types.ModuleType]:
    """The path and the module of a file that has get_config and another function.

    Args:
      config: 'FILE[:argument]', or the name of a shipped file.
      function: that it has to have.
      example: of its body, for the message.

    Raises:
      InputError: there is no such file, or it cannot be imported.
    """
    path = pathlib.Path(config_lib.locate(config).partition(":")[0])
    if not path.is_file():
        raise InputError(path, "there is no such file", _one_of_the_shipped())
    module = _import(path)
    argument = {"sweep": "add", "search": "trial"}[function]
    for needed, hint in (
        ("get_config", "def get_config(arg=None): ... return config"),
        (function, f"def {function}({argument}): {example}"),
    ):
        if not hasattr(module, needed):
            raise InputError(path, f"does not define {needed}()", f"add: {hint}")
    return path, module


def read_config(
    config: str, path: pathlib.Path, module: types.ModuleType, extra: Sequence[str]
) -> ConfigDict:
    """The config that all runs share, read as the command line of a run reads it."""
    with explained(path, "fails"):
        found = module.get_config(config.partition(":")[2] or None)
    if not isinstance(found, ConfigDict):
        raise InputError(
            path,
            f"get_config() returns a {type(found).__name__}",
            "return an ml_collections.ConfigDict, as the shipped configs do",
        )
    found.lock()
    if not extra:
        return found
    values = flags.FlagValues()
    argv = ["sweep", f"--config={config_lib.locate(config)}", *extra]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    try:
        with config_lib.no_bytecode():
            values(argv)
        return values.config.lock()
    except (AttributeError, KeyError, TypeError, ValueError, flags.Error) as error:
        found = _first_line(error)
        if isinstance(error, AttributeError | KeyError):
            found = f"the config has no key {found}"
        hint = "use keys and types of the config"
        raise InputError(" ".join(extra), found, hint) from None


def changed(
    path: pathlib.Path, config: ConfigDict, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The config with these changes, as JSON values.

    Raises:
      InputError: the config has no such key, or not such values.
    """
    found = config.copy_and_resolve_references().lock()
    for key, value in overrides.items():
        try:
            found.update_from_flattened_dict({key: value})
            json.dumps(value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                path,
                f"sets {key}={value!r}: {_first_line(error)}",
                "use a key of the config, and a value of its type",
            ) from None
    return config_lib.to_dict(found)


def check_extra(extra: Sequence[str], varied: set[str]) -> None:
    """Refuses what is no override, or one of what the runs differ in."""
    for text in extra:
        key = text.partition("=")[0].removeprefix("--config.")
        if text.startswith("--config.") and key in varied:
            raise InputError(text, "the sweep itself sets this key", "omit it")
        if not text.startswith(("--config.", "--noconfig.")):
            raise InputError(
                text, "is not an override", "after -- use --config.key=value"
            )


def name(overrides: dict[str, Any], setting: str = "") -> str:
    """{'task.loss': 'ordinal', 'seed': 1} -> 'loss=ordinal,seed=1'.

    setting: stands for all changes but those of the seed and the fold.
    """
    parts = [
        f"{key.split('.')[-1]}={value}"
        for key, value in overrides.items()
        if not setting or key in REPEATS
    ]
    parts = [setting, *parts] if setting else parts
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
def explained(path: pathlib.Path, what: str) -> Iterator[None]:
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
    if spec is None or spec.loader is None:
        raise InputError(path, "is not a Python file", _one_of_the_shipped())
    module = importlib.util.module_from_spec(spec)
    with explained(path, "cannot be imported"), config_lib.no_bytecode():
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
