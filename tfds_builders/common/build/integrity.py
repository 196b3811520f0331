"""Whether a prepared dataset can be read, without reading all of it."""

import json
from pathlib import Path

from tfds_builders.common.build import columns
from tfds_builders.common.build.identity import changed_shards
from tfds_builders.common.errors import InputError


def damage(builder, whole: bool = False) -> str:
    """What is wrong with the files of a prepared dataset; '' if nothing is.

    Opens every file, counts its records and reads the last one, which finds missing
    and truncated files. Images are not decoded.

    whole: also read all files, and compare them with their digests.
    """
    try:
        planned = (builder.info.metadata or {}).get("splits")
    except json.JSONDecodeError as error:  # TFDS reads it lazily
        return f"metadata.json cannot be read ({error})"
    if planned is None:
        return "metadata.json is missing"
    if not (builder.data_path / "features.json").exists():
        return "features.json is missing"
    for split, row in planned.items():
        stored = builder.info.splits.get(split)
        there = stored.num_examples if stored else 0
        if there != row["images"]:
            return f"{split} holds {there} of {row['images']} images"
        if not stored:
            continue  # TFDS does not name an empty split
        files = zip(stored.filepaths, stored.shard_lengths, strict=True)
        for path, records in files:
            if found := _unreadable(Path(path), records):
                return found
    try:
        columns.read(builder, next(iter(builder.info.splits)), ())
    except InputError as error:
        return f"{columns.FILE} {error.found}"
    shards = builder.info.metadata.get("shards", {})  # older datasets have none
    return changed_shards(builder.data_path, shards, whole)


def _unreadable(path: Path, records: int) -> str:
    if not path.is_file():
        return f"{path.name} is missing"
    # Not on every system: `make_builder` has said so where it is missing.
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(str(path))
        there = reader.num_records()
        if there == records:
            reader.read([records - 1])
        reader.close()
    except (RuntimeError, ValueError, IndexError, OSError) as error:
        return f"{path.name} cannot be read ({str(error).splitlines()[0]})"
    if there != records:
        return f"{path.name} holds {there} of {records} images"
    return ""
