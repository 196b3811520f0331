"""What a config may say: durations with units, `:arguments`, dict and JSON forms."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import math
import pathlib
import re
import sys
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ml_collections import ConfigDict

from tfds_builders.common import forms
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import REAL

_UNITS = ("steps", "epochs", "examples", "percent")

# What members of one program may differ in: neither the shape of an array nor the
# program depends on it.
MAY_DIFFER = (
    "seed",
    "data.fold",
    "optim.lr",
    "optim.weight_decay",
    "preprocess.strength",
    "task.label_noise",
)

# Of every config.json; what an earlier version did not have is for `config_check`.
_FORM = {
    "seed": int,
    "batch_size": int,
    "accumulate": int,
    "total": str,
    "data": {
        **dict.fromkeys(("dataset", "data_dir", "train", "val", "test"), str),
        **dict.fromkeys(("fold", "size", "phantom"), int),
        **dict.fromkeys(("square", "residency"), str),
        "masks": bool,
    },
    "task": {"name": str, "loss": str, "label_noise": REAL, "settings": dict},
    "model": {"name": str, "dtype": str},
    "preprocess": {"train": str, "eval": str, "strength": REAL},
    "optim": {
        **dict.fromkeys(("name", "schedule", "warmup"), str),
        **dict.fromkeys(("lr", "weight_decay", "clip_norm", "ema_decay"), REAL),
        "settings": dict,
    },
    "plateau": {"patience": int, "factor": REAL, "floor": REAL},
    "stop_patience": int,
    "every": dict.fromkeys(("log", "eval", "checkpoint"), str),
    "select": str,
    "resamples": int,
    "report": bool,
}


def shipped() -> dict[str, pathlib.Path]:
    """{'brixia.py': its path, ...} of the configs that come with this package."""
    spec = importlib.util.find_spec("cxr_jax.configs")
    folders = (spec and spec.submodule_search_locations) or ()
    paths = [path for folder in folders for path in pathlib.Path(folder).rglob("*.py")]
    return {path.name: path for path in sorted(paths)}


def names() -> str:
    """'brixia.py, covidgr.py, ...': the shipped configs that train one model."""
    paths = shipped().items()
    return ", ".join(
        name
        for name, path in paths
        if path.parent.name != "ablations" and not name.startswith(("common", "_"))
    )


@contextmanager
def no_bytecode() -> Iterator[None]:
    """Keeps no compiled copy of a file: Python tells a stale one by second and size.

    A file that is changed twice within a second, 1e-3 to 1e-4, would be read as it was.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def check_file(path: pathlib.Path) -> None:
    """Refuses what cannot be a config file, before it is imported.

    Raises:
      InputError: no such file, or a folder; suggests a shipped config.
    """
    if path.is_file():
        return
    found = "is a folder" if path.is_dir() else "there is no such file"
    close = difflib.get_close_matches(path.name, shipped(), 1, 0.7)
    hint = f"did you mean {close[0]}? " if close else ""
    hint += f"Give a file of your own, or one of: {names()}"
    raise InputError("--config", f"{str(path)!r}: {found}", hint)


def locate(config: str) -> str:
    """Replaces the name of a shipped config by its path.

    'brixia.py:phantom' becomes '.../configs/brixia.py:phantom', unless there is a file
    'brixia.py' in the current folder. A value with a folder in it is left as it is.
    """
    name, colon, argument = config.partition(":")
    if not pathlib.Path(name).is_file():
        name = str(shipped().get(name, name))
    return name + colon + argument


def steps(
    duration: str,
    *,
    key: str,
    train_examples: int,
    batch_size: int,
    total_steps: int | None = None,
) -> int:
    """Turns a duration such as '20 epochs' into a number of steps.

    Args:
      duration: '<number> <unit>', unit one of steps, epochs, examples, percent (of
        the whole training); the space may be left out.
      key: the config key it came from, for the error.
      train_examples: images in the training split.
      batch_size: images per step.
      total_steps: the length of the training, for 'percent'.

    Returns:
      The nearest whole number of steps, at least 1 unless the number is 0.

    Raises:
      InputError: for anything else, and for 'percent' of the total itself.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([a-z]+)\s*", str(duration))
    try:
        number = float(match[1]) if match else math.nan
    except ValueError:
        number = math.nan
    unit = match[2] if match else ""
    unit = unit if unit.endswith("s") or unit == "percent" else unit + "s"
    if not math.isfinite(number) or unit not in _UNITS:
        raise InputError(
            f"config.{key}",
            f"{duration!r} is not a duration",
            "give a number and a unit: '500 steps', '20 epochs', '1e5 examples' or "
            "'5 percent'",
        )
    if unit == "percent" and total_steps is None:
        raise InputError(
            f"config.{key}",
            f"{duration!r} has nothing to be a percentage of",
            "give steps, epochs or examples",
        )
    scale = {
        "steps": 1.0,
        "epochs": train_examples / batch_size,
        "examples": 1.0 / batch_size,
        "percent": (total_steps or 0) / 100.0,
    }[unit]
    return max(round(number * scale), 1 if number > 0 else 0)


def parse_arg(arg: str | None, **defaults: Any) -> ConfigDict:
    """Reads the part after the colon of `--config=configs/brixia.py:phantom,fold=2`.

    Args:
      arg: comma-separated `name=value` or bare `name` (meaning True), or None.
      **defaults: every argument the config knows, with its default; a value is read
        as the type of its default.

    Raises:
      InputError: an unknown name or a value of another type.
    """
    result = ConfigDict(defaults)
    for item in filter(None, (arg or "").split(",")):
        name, equals, text = item.partition("=")
        if name not in defaults:
            raise InputError(
                "--config",
                f"the config has no argument {name!r}",
                f"it knows: {', '.join(defaults) or 'none'}",
            )
        try:
            value = ast.literal_eval(text) if equals else True
        except (ValueError, SyntaxError):
            value = text
        wanted = type(defaults[name])
        if wanted is float and isinstance(value, int):
            value = float(value)
        if type(value) is not wanted:
            raise InputError(
                "--config",
                f"argument {name} is {text or 'True'!r}",
                f"give a value of type {wanted.__name__}, like {defaults[name]!r}",
            )
        result[name] = value
    return result


def one_of(name: str, value: str, known: Collection[str]) -> None:
    """Raises InputError where an argument of `parse_arg` is none of those known."""
    if value not in known:
        raise InputError(
            "--config",
            f"argument {name} is {value!r}",
            f"choose one of: {', '.join(known)}",
        )


def plain(tree: dict[str, Any]) -> dict[str, Any]:
    """As plain JSON values: tuples become lists."""
    return json.loads(json.dumps(tree))


def to_dict(config: ConfigDict) -> dict[str, Any]:
    """The config as plain JSON values."""
    return plain(config.to_dict())


def to_json(config: ConfigDict) -> str:
    """The config as indented JSON in the order in which it is written."""
    return json.dumps(to_dict(config), indent=2) + "\n"


def from_json(path: pathlib.Path) -> ConfigDict:
    """Reads `config.json` of a workdir; lists become tuples again."""
    missing = "give the --workdir of a run that was trained"
    loaded = forms.read(path, _FORM, missing=missing)
    return ConfigDict(tuples(loaded)).lock()


def fault_in(path: pathlib.Path, error: BaseException) -> InputError | None:
    """What to say of an error that was raised while a config file ran.

    Args:
      path: of the file.
      error: as it arrived; libraries may have put others around it.

    Returns:
      None where nothing of it comes from within the file.
    """
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)
        lines = [f.lineno for f in frames if pathlib.Path(f.filename) == path]
        if isinstance(seen, SyntaxError) and seen.filename == str(path):
            lines.append(seen.lineno)
        if lines:
            where, what = f"{path}, line {lines[-1]}", type(seen).__name__
            return InputError(where, f"{what}: {message(seen)}", "correct the file")
        seen = seen.__cause__ or seen.__context__
    return None


def message(error: BaseException) -> str:
    """Of the innermost error: ml_collections wraps a KeyError into an AttributeError."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return str(error.args[0]) if isinstance(error, KeyError) else str(error)


def diff(one: ConfigDict, other: ConfigDict, *, ignore: tuple[str, ...] = ()) -> str:
    """Lines '- key = value' / '+ key = value' of all leaves that differ."""
    left, right = (
        {
            key: value
            for key, value in leaves(to_dict(config)).items()
            if not key.startswith(ignore)
        }
        for config in (one, other)
    )
    lines = []
    for key in sorted(left.keys() | right.keys()):
        if key in left and left.get(key) != right.get(key, ...):
            lines.append(f"- {key} = {left[key]!r}")
        if key in right and right.get(key) != left.get(key, ...):
            lines.append(f"+ {key} = {right[key]!r}")
    return "\n".join(lines)


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'optim': {'lr': 1}} -> {'optim.lr': 1}; an empty section is a leaf."""
    found = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found.update(leaves(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def tuples(value: Any) -> Any:
    """JSON values as a config has them: its lists are tuples."""
    if isinstance(value, list):
        return tuple(tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return value
