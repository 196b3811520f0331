"""The folder of a batch: it can be killed at any time, and resumes where it was.

`predict.json` says what is done, `predictions.part.csv` grows by one row a film, in the
order of the films, and is renamed to `predictions.csv` at the end. A row is there once
its pictures are.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cxr_jax.predict.inputs import Item
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.lock import locked
from tfds_builders.common.text import csv_text, uncell

SETTINGS, ROWS, PART = "predict.json", "predictions.csv", "predictions.part.csv"
OVERLAYS, PAGE = "overlays", "index.html"
_LOCK = ".lock"
_OTHER = "give another --output, or remove that folder to begin again"


def digest(items: Sequence[Item]) -> str:
    """Of which films there are, and how large; not of their content."""
    found = hashlib.sha256()
    for item in items:
        try:
            size = item.file.stat().st_size
        except OSError:  # reading it will say so
            size = -1
        found.update(json.dumps([item.path, size]).encode() + b"\n")
    return found.hexdigest()


def picture_name(number: int, item_id: str) -> str:
    """Of an overlay and a thumbnail, without ending: '00042-stem', safe anywhere."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", item_id.rpartition("/")[2])
    return f"{number:06}-{stem[:80]}"


@contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
    """Makes the folder, and keeps other processes out of it.

    Raises:
      InputError: another one writes there, or it cannot be written.
    """

    def busy() -> None:
        raise InputError(
            folder,
            "another process writes there",
            "wait for it, or give another folder",
        )

    if folder.exists() and not folder.is_dir():
        raise InputError(folder, "is a file, not a folder", "give a new folder")
    with files.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / _LOCK, busy):
            yield
    except PermissionError as error:
        if error.filename == str(folder / _LOCK):
            raise InputError(
                folder, "cannot be written", "give a folder of your own"
            ) from None
        raise


def begin(folder: pathlib.Path, settings: dict[str, Any]) -> None:
    """Notes what is done there, or checks that it is the same as before.

    Raises:
      InputError: other films, another model or gate, or another folder altogether.
    """
    path = folder / SETTINGS
    if not path.exists():
        others = [each.name for each in folder.iterdir() if each.name != _LOCK]
        if others:
            raise InputError(
                folder,
                f"is not empty, and no predictions were made there ({min(others)})",
                "give a new folder as --output",
            )
        files.write_text(path, json.dumps(settings, indent=2) + "\n")
        return
    before = files.read_json(path, missing=_OTHER, damaged=_OTHER)
    changed = [
        f"{key}: {before.get(key)}, and now {settings.get(key)}"
        for key in dict.fromkeys([*before, *settings])
        if before.get(key) != settings.get(key)
    ]
    if changed:
        raise InputError(
            folder,
            "was begun with other settings or films:\n  " + "\n  ".join(changed),
            _OTHER,
        )


def done(
    folder: pathlib.Path, columns: Sequence[str], items: Sequence[Item]
) -> int | None:
    """How many films have their row; None where the batch is finished.

    A row that was cut off is removed.

    Raises:
      InputError: the rows are not of these films.
    """
    if (folder / ROWS).exists():
        return None
    path = folder / PART
    if not path.exists():
        files.write_text(path, csv_text([tuple(columns)]))
        return 0
    with files.explained(path), path.open("rb+") as file:
        whole = _whole(file)
        file.truncate(whole)
    if not whole:
        path.unlink()
        return done(folder, columns, items)
    count = -1
    for count, row in enumerate(rows(path)):
        if count >= len(items) or row["path"] != _line(items[count].path):
            raise InputError(path, f"row {count + 1} is of another film", _OTHER)
    return count + 1


def _whole(file) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - (1 << 16))
        file.seek(start)
        place = file.read(end - start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


def append(folder: pathlib.Path, records: Iterable[dict[str, Any]]) -> None:
    """Adds rows, so that they are on the disk when this returns."""
    text = csv_text(
        [tuple(_cell(value) for value in record.values()) for record in records]
    )
    path = folder / PART
    with files.explained(path), path.open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def finish(folder: pathlib.Path) -> None:
    """All films have their row."""
    with files.explained(folder / ROWS):
        (folder / PART).replace(folder / ROWS)


def rows(path: pathlib.Path) -> Iterator[dict[str, str]]:
    """The rows of a file, one at a time."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {key: uncell(value) for key, value in row.items()}


def _cell(value: Any) -> str:
    # repr of a float32 is the shortest text that reads back as the same number.
    return _line(str(value))


def _line(text: str) -> str:
    """Without line ends, so that a line is a row."""
    return text.replace("\r", "\\r").replace("\n", "\\n")
