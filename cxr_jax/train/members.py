"""Which trainings may be members of one program: those that differ in numbers only."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from tfds_builders.common import files
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


def read(text: str, config: ConfigDict) -> dict[str, dict[str, Any]]:
    """{name: overrides} of `--members`.

    Args:
      text: a number K, for K seeds beginning with that of the config, or a JSON file
        {name: {'optim.lr': 1e-3}}, as `launch.sweep --together` writes it.
      config: what is overridden.

    Raises:
      InputError: neither, or one of them changes what all must share.
    """
    if text.isdigit() and int(text):
        seeds = range(config.seed, config.seed + int(text))
        return {f"seed={seed}": {"seed": seed} for seed in seeds}
    found = files.read_json(
        pathlib.Path(text).expanduser(),
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


def configs(
    config: ConfigDict, overrides: dict[str, dict[str, Any]]
) -> dict[str, ConfigDict]:
    """{name: locked config} of the members.

    Raises:
      InputError: an override is no key, or none that members may differ in.
    """
    made = {}
    for name, changes in overrides.items():
        member = config.copy_and_resolve_references().unlock()
        for key, value in changes.items():
            if key not in MAY_DIFFER:
                raise InputError(
                    f"member {name}",
                    f"changes {key}, which all members of one program share",
                    f"they may differ in: {', '.join(MAY_DIFFER)}. Run it alone",
                )
            try:
                member.lock().update_from_flattened_dict({key: value})
            except (AttributeError, KeyError, TypeError) as error:
                raise InputError(
                    f"member {name}",
                    f"sets {key}={value!r}: {error}",
                    "give a value of the type that the config has",
                ) from None
        made[name] = member.lock()
    _check_folds(made)
    return made


def _check_folds(made: dict[str, ConfigDict]) -> None:
    folds = {member.data.fold for member in made.values()}
    if len(folds) > 1 and min(folds) < 0:
        raise InputError(
            "data.fold of the members",
            f"is {', '.join(map(str, sorted(folds)))}",
            "-1 is the split of the dataset: give all members a fold, or none",
        )
    some = next(iter(made.values()))
    if len(folds) > 1 and some.task.settings.get("balanced"):
        raise InputError(
            "config.task.settings.balanced",
            "weighs classes by their number in train, which differs by fold",
            "train the folds one by one, or without it",
        )


def common(made: dict[str, ConfigDict]) -> str:
    """'seed, optim.lr': what they differ in, for people."""
    first, *others = made.values()
    lines = "\n".join(config_lib.diff(first, other) for other in others).splitlines()
    return ", ".join(sorted({line[2:].split(" = ")[0] for line in lines}))
