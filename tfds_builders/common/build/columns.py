"""The columns of a dataset in one file beside its records, to open it without reading
all of them.

A NumPy archive: numbers are arrays, texts a JSON list as bytes; every split by itself,
in the order of its records. `metadata.json` has its SHA-256.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.common import files, records
from tfds_builders.common.errors import InputError

FILE = "columns.npz"
_TEXT = ".json"
_DAMAGED = "Remove that folder and build the dataset again"

Table = dict[str, Any]


def write(builder) -> dict[str, str]:
    """Reads all records of a dataset that was just written; -> what `read` wants."""
    arrays = {}
    columns = records.layout(builder.info.features).columns
    for split, info in builder.info.splits.items():
        parts = [_of_file(Path(path), columns) for path in info.filepaths]
        for name in columns:
            key, whole = f"{split}/{name}", [part[name] for part in parts]
            if isinstance(whole[0], list):
                text = json.dumps([value for part in whole for value in part])
                arrays[key + _TEXT] = np.frombuffer(text.encode(), np.uint8)
            else:
                arrays[key] = np.concatenate(whole)
    file = io.BytesIO()
    np.savez(file, **arrays)
    files.write_bytes(Path(builder.data_path) / FILE, file.getvalue())
    return {"sha256": hashlib.sha256(file.getvalue()).hexdigest()}


def _of_file(path: Path, columns: dict[str, Any]) -> Table:
    # Not on every system: `make_builder` has said so where it is missing.
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(str(path))
    try:
        return records.table(reader.read_all(), columns)
    finally:
        reader.close()


def read(builder, split: str, names: Sequence[str]) -> Table | None:
    """The columns of a split, as `records.table` gives them.

    Args:
      builder: of a prepared dataset.
      split: 'train', 'train+val', 'train[:50%]', 'all'.
      names: of the columns.

    Returns:
      None of a dataset that was built before there was such a file.

    Raises:
      InputError: the file is missing, or is not what was built.
    """
    stored = (builder.info.metadata or {}).get("columns")
    if stored is None:
        return None
    path = Path(builder.data_path) / FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}", _DAMAGED) from None
    if hashlib.sha256(data).hexdigest() != stored["sha256"]:
        raise InputError(path, "was changed since the dataset was built", _DAMAGED)
    spans = _spans(builder, split)
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: _column(archive, name, spans) for name in names}


def _spans(builder, split: str) -> list[tuple[str, int, int]]:
    """(split, first, end) of the records of a split, in their order."""
    begins = {}
    for name, info in builder.info.splits.items():
        ends = np.cumsum([0, *info.shard_lengths])
        for path, begin in zip(info.filepaths, ends, strict=False):
            begins[Path(path).name] = name, int(begin)
    spans = []
    for part in builder.info.splits[split].file_instructions:
        name, begin = begins[Path(part.filename).name]
        first = begin + part.skip
        if spans and spans[-1][0] == name and spans[-1][2] == first:
            spans[-1] = name, spans[-1][1], first + part.take
        else:
            spans.append((name, first, first + part.take))
    return spans


def _column(archive, name: str, spans: list[tuple[str, int, int]]) -> Any:
    if f"{spans[0][0]}/{name}{_TEXT}" in archive:
        texts = {
            split: json.loads(archive[f"{split}/{name}{_TEXT}"].tobytes())
            for split in {split for split, _, _ in spans}
        }
        return [
            value for split, first, end in spans for value in texts[split][first:end]
        ]
    return np.concatenate(
        [archive[f"{split}/{name}"][first:end] for split, first, end in spans]
    )
