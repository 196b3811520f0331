"""Trainings that are members of one program: they differ in numbers only."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax.data import cache, roles
from tfds_builders.common import files, places
from tfds_builders.common.errors import InputError

# Neither the shape of an array nor the program depends on these.
MAY_DIFFER = (
    "seed",
    "data.fold",
    "optim.lr",
    "optim.weight_decay",
    "preprocess.strength",
    "task.label_noise",
)


class Member(NamedTuple):
    """One training.

    Attributes:
      name: '' of a single run, which is the only member.
      workdir: its own.
      config: locked.
      overrides: {key: value} of what it changes in the config that all share.
      origin: where its config comes from, {'file', 'overrides'}; {} if not known.
      changes: from the config that the run began with, where that is allowed.
    """

    name: str
    workdir: pathlib.Path
    config: ConfigDict
    overrides: dict[str, Any]
    origin: dict[str, Any]
    changes: str = ""


class Pictures(NamedTuple):
    """The training pictures of all members: row `rows[i]` of the dataset at [i].

    pixels: {'image', 'mask': [N, size, size, 1]}.
    """

    rows: np.ndarray
    pixels: dict[str, np.ndarray]


def make(
    config: ConfigDict,
    text: str,
    folder: pathlib.Path,
    origin: dict[str, Any] | None = None,
) -> list[Member]:
    """The members that `--members` asks for, or the single run.

    Args:
      config: what the members share.
      text: of the flag: empty, or see `read`.
      folder: the workdir of a single run; members get a folder in it.
      origin: of the config: its file, and what the command line changed.

    Raises:
      InputError: see `read`; or members that cannot be trained by one program.
    """
    origin = origin or {}
    if not text:
        return [Member("", folder, config, {}, origin)]
    made = []
    for name, overrides in read(text, config).items():
        changed = _changed(config, name, overrides)
        own = origin | {"overrides": origin.get("overrides", {}) | overrides}
        made.append(Member(name, folder / name, changed, overrides, own))
    _check_folds(made)
    return made


def read(text: str, config: ConfigDict) -> dict[str, dict[str, Any]]:
    """{name: overrides} of `--members`.

    Args:
      text: a number K, for K seeds beginning with that of the config, or a JSON file
        {name: {'optim.lr': 1e-3}}, as `launch.sweep --together` writes it.
      config: what is overridden.

    Raises:
      InputError: neither, or a name that cannot be that of a folder.
    """
    if text.isdigit() and int(text):
        seeds = range(config.seed, config.seed + int(text))
        return {f"seed={seed}": {"seed": seed} for seed in seeds}
    found = files.read_json(
        places.expanded(text),
        missing="give a number of seeds, or a JSON file {name: {key: value}}",
        damaged="write it as {name: {key: value}}",
    )
    for name, overrides in found.items():
        if not isinstance(overrides, dict) or "/" in name or name.startswith("."):
            raise InputError(
                f"--members={text}",
                f"{name!r} is {json.dumps(overrides)[:80]}",
                "write it as {name: {key: value}}; each name becomes a folder",
            )
    if not found:
        raise InputError(f"--members={text}", "names no member", "name at least one")
    return found


def _changed(config: ConfigDict, name: str, overrides: dict[str, Any]) -> ConfigDict:
    member = config.copy_and_resolve_references().lock()
    for key, value in overrides.items():
        if key not in MAY_DIFFER:
            raise InputError(
                f"member {name}",
                f"changes {key}, which all members of one program share",
                f"they may differ in: {', '.join(MAY_DIFFER)}. Run it alone",
            )
        try:
            member.update_from_flattened_dict({key: value})
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"member {name}",
                f"sets {key}={value!r}: {error}",
                "give a value of the type that the config has",
            ) from None
    return member


def _check_folds(made: list[Member]) -> None:
    folds = {member.config.data.fold for member in made}
    if len(folds) > 1 and min(folds) < 0:
        raise InputError(
            "data.fold of the members",
            f"is {', '.join(map(str, sorted(folds)))}",
            "-1 is the split of the dataset: give all members a fold, or none",
        )
    if len(folds) > 1 and made[0].config.task.settings.get("balanced"):
        raise InputError(
            "config.task.settings.balanced",
            "weighs classes by their number in train, which differs by fold",
            "train the folds one by one, or without it",
        )


def differences(made: list[Member]) -> str:
    """'seed, optim.lr': what they differ in, for people."""
    first, *others = (member.config for member in made)
    lines = "\n".join(config_lib.diff(first, other) for other in others).splitlines()
    return ", ".join(sorted({line[2:].split(" = ")[0] for line in lines}))


def open_folds(made: list[Member], folder: pathlib.Path) -> dict[int, roles.Splits]:
    """{fold: its splits} of the members, whose phantom lies in `folder`."""
    by_fold = {member.config.data.fold: member.config.data for member in made}
    return {fold: roles.open_splits(data, folder) for fold, data in by_fold.items()}


def hold(
    opened: dict[int, roles.Splits], config: ConfigDict
) -> tuple[dict[int, roles.Splits], Pictures]:
    """Decodes each picture once -> (splits that hold val, pictures of all of train).

    Args:
      opened: of `open_folds`.
      config: `config.data`.
    """
    some = next(iter(opened.values()))
    if len(opened) == 1:
        held = cache.hold(some, config)
        pictures = Pictures(some.train.rows, held.train.pixels)
        return dict.fromkeys(opened, held._replace(train=some.train)), pictures
    # Folds are parts of one whole, in which every picture is found by its row.
    parts = [part for s in opened.values() for part in (s.train, s.val)]
    rows = np.unique(np.concatenate([part.rows for part in parts]))
    whole = some.train._replace(split="all", rows=rows)
    pixels = cache.decoded(whole, config.size, config.square)

    def held(val):
        places = np.searchsorted(rows, val.rows)
        return val._replace(pixels={name: p[places] for name, p in pixels.items()})

    opened = {
        fold: splits._replace(val=held(splits.val)) for fold, splits in opened.items()
    }
    return opened, Pictures(rows, pixels)
