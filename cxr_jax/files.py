"""Files that are either wholly there or not at all."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager

from tfds_builders.common.errors import InputError


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes to a temporary name beside `path`, then renames.

    Raises:
      InputError: the disk is full or the folder cannot be written; the former
        content of `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def explained(path: pathlib.Path) -> Iterator[None]:
    """Turns an OSError while writing `path` into a message a user can act on."""
    try:
        yield
    except OSError as error:
        raise InputError(
            path,
            f"cannot be written: {error.strerror or error}",
            f"{free_space(path)}; make room or give another folder, then run the same "
            "command again: it goes on from the last checkpoint",
        ) from error


def free_space(path: pathlib.Path) -> str:
    """'3.2 GB are free there', for messages."""
    folder = path
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return f"{status.f_bavail * status.f_frsize / 1e9:.1f} GB are free there"
