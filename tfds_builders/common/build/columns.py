"""The columns of a dataset in one file beside its records, to open it without reading
all of them.

A NumPy archive of every column of every split, in the order of its records: numbers in
the smallest type that holds them, texts in one piece, or as codes where few differ.
`metadata.json` has its SHA-256.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.common import files, records
from tfds_builders.common.errors import InputError

FILE = "columns.npz"
_DAMAGED = "Remove that folder and build the dataset again"
# Of a code.
_FEW = 256
_INTEGERS = (np.int8, np.int16, np.int32)

Table = dict[str, Any]


def write(builder) -> dict[str, Any]:
    """Reads all records of a dataset that was just written; -> what `read` wants."""
    arrays, tables = {}, {}
    columns = records.layout(builder.info.features).columns
    for split, info in builder.info.splits.items():
        parts = [_of_file(Path(path), columns) for path in info.filepaths]
        whole = {name: _joined([part[name] for part in parts]) for name in columns}
        tables[split] = digest(whole)
        for name, column in whole.items():
            for part, array in _packed(column).items():
                arrays[f"{split}/{name}/{part}"] = array
    file = io.BytesIO()
    np.savez(file, **arrays)
    files.write_bytes(Path(builder.data_path) / FILE, file.getvalue())
    whole_file = hashlib.sha256(file.getvalue()).hexdigest()
    return {"sha256": whole_file, "tables": tables}


def digest(table: Table) -> str:
    """Of the rows of a table, in any order."""
    names = sorted(table)
    columns = (np.asarray(table[name]).tolist() for name in names)
    rows = sorted(repr(row) for row in zip(*columns, strict=True))
    return hashlib.sha256("\n".join([repr(names), *rows]).encode()).hexdigest()


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], list):
        return [value for part in parts for value in part]
    return np.concatenate(parts)


def _packed(column: Any) -> dict[str, np.ndarray]:
    """Arrays without loss: see `_unpacked`."""
    if isinstance(column, list):
        kinds = sorted(set(column))
        if len(kinds) > _FEW:
            return {"texts": _in_one_piece(column)}
        place = {kind: code for code, kind in enumerate(kinds)}
        codes = np.array([place[value] for value in column], np.uint8)
        return {"codes": codes, "kinds": _in_one_piece(kinds)}
    small = column
    if column.dtype.kind == "i" and column.size:
        fits = (
            kind
            for kind in _INTEGERS
            if np.iinfo(kind).min <= column.min() <= column.max() <= np.iinfo(kind).max
        )
        small = column.astype(next(fits, column.dtype))
    return {
        "numbers": small,
        "type": np.frombuffer(column.dtype.str.encode(), np.uint8),
    }


def _in_one_piece(texts: list[str]) -> np.ndarray:
    """Joined by a character that is in none of them, which stands before the first."""
    joined = "".join(texts)
    between = next(chr(k) for k in range(0xD800) if chr(k) not in joined)
    return np.frombuffer((between + between.join(texts)).encode(), np.uint8)


def _taken_apart(piece: np.ndarray) -> list[str]:
    text = piece.tobytes().decode()
    return text[1:].split(text[0])


def _unpacked(archive, key: str) -> Any:
    """A column of a split: an array of numbers, or a list of texts."""
    if f"{key}/numbers" in archive:
        kind = archive[f"{key}/type"].tobytes().decode()
        return archive[f"{key}/numbers"].astype(kind, copy=False)
    if f"{key}/texts" in archive:
        return _taken_apart(archive[f"{key}/texts"])
    kinds = np.array(_taken_apart(archive[f"{key}/kinds"]), object)
    return kinds[archive[f"{key}/codes"]].tolist()


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
    whole = {split: _unpacked(archive, f"{split}/{name}") for split, _, _ in spans}
    return _joined([whole[split][first:end] for split, first, end in spans])


def table_digest(builder, split: str) -> str:
    """`digest` of the table of a whole split; '' of a part, and of older datasets."""
    stored = (builder.info.metadata or {}).get("columns", {})
    return stored.get("tables", {}).get(split, "")
