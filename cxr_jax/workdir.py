"""The folder of a run: it belongs to one config and to one process at a time."""

from __future__ import annotations

import fcntl
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager

from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import files
from tfds_builders.common.errors import InputError


@contextmanager
def claimed(workdir: pathlib.Path, config: ConfigDict) -> Iterator[None]:
    """Locks the folder and writes `config.json`, or checks the one that is there.

    Raises:
      InputError: another process works in it, or it belongs to another config.
    """
    with files.explained(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                workdir,
                "another process is at work in it",
                "wait for it, stop it, or give another --workdir",
            ) from None
        _check_config(workdir / "config.json", config)
        yield


def _check_config(path: pathlib.Path, config: ConfigDict) -> None:
    if not path.exists():
        files.write_text(path, config_lib.to_json(config))
        return
    changes = config_lib.diff(config_lib.from_json(path), config)
    if changes:
        raise InputError(
            path.parent,
            "belongs to another config:\n  " + changes.replace("\n", "\n  "),
            "give another --workdir for the new config (+), or take the changes back "
            "to go on with the old one (-)",
        )
