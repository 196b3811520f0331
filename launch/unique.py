"""Runs are known by their config: no config is trained twice in one folder."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from cxr_jax.config_check import completed
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

from .plan import MOVES, Run


def digest(config: dict[str, Any]) -> str:
    """Of a whole config as JSON values; 16 hexadecimal digits.

    A config of before a key has the digest of one with that key as it was before.
    """
    section, key = MOVES
    config = completed(config)
    data = {k: v for k, v in config.get(section, {}).items() if k != key}
    text = json.dumps({**config, section: data}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def of_folder(workdir: pathlib.Path) -> str | None:
    """The digest of the config that a run began with; None where there is none."""
    try:
        config = files.read_json(workdir / "config.json", missing="", damaged="")
        return digest(config)
    except (
        InputError,
        AttributeError,
        TypeError,
        ValueError,
    ):  # its reader says what is wrong with it
        return None


def placed(runs: Sequence[Run], folder: pathlib.Path) -> list[Run]:
    """The runs in the folders where their configs are, or are going to be.

    Another sweep may have trained the same config under another name, and two runs of
    one sweep may come to the same; their folder is then the same.
    """
    known: dict[str, str] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if (found := of_folder(path)) is not None:
                known.setdefault(found, path.name)
    made = []
    for run in runs:
        own = digest(run.config)
        # Its own folder comes first, where it has been run twice before.
        if of_folder(folder / run.name) == own:
            known[own] = run.name
        made.append(run._replace(folder=known.setdefault(own, run.name)))
    return made
