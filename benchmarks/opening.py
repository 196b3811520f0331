"""How long a prepared dataset takes to open: from its file of columns, and without.

    python -m benchmarks.opening [--films=1000000]

The records are those of 60 drawn films of 32 pixels under other names, in files of 512,
as the builders write them, and in the page cache. Seconds are those of the processor,
which other work does not change; it is one thread. Not timed: writing, and imports.
"""

from __future__ import annotations

import json
import math
import pathlib
import shutil
import statistics
import tempfile
import time

from absl import flags
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from tensorflow_datasets.proto import tf_example_pb2

from benchmarks import films, machine
from cxr_jax.data import builders
from cxr_jax.data.split import fingerprint
from tfds_builders.common import command, places
from tfds_builders.common.build import columns, identity

DATASET, SPLIT = "brixia/256", "train"
_IN_A_FILE = 512


def multiplied(folder: pathlib.Path, count: int) -> pathlib.Path:
    """data_dir of a dataset of one split with `count` records."""
    drawn = pathlib.Path(films.draw(folder / "few", DATASET, 32, 60))
    [few] = (drawn / DATASET).glob("*.*.*")
    target = folder / f"many_{count}"
    many = target / few.relative_to(drawn)
    if many.exists():
        return target
    partial = target.with_name(target.name + ".partial") / few.relative_to(drawn)
    shutil.rmtree(partial.parents[2], ignore_errors=True)
    partial.mkdir(parents=True)
    [path] = few.glob(f"*-{SPLIT}.*")
    reader = ArrayRecordReader(str(path))
    kinds = [tf_example_pb2.Example.FromString(data) for data in reader.read_all()]
    reader.close()
    number, of = 0, math.ceil(count / _IN_A_FILE)
    for k in range(of):
        name = f"{path.name.partition('-')[0]}-{SPLIT}.array_record-{k:05}-of-{of:05}"
        writer = ArrayRecordWriter(str(partial / name), "group_size:1")
        for _ in range(min(_IN_A_FILE, count - number)):
            example = kinds[number % len(kinds)]
            feature = example.features.feature
            feature["example_id"].bytes_list.value[0] = b"film%08d" % number
            feature["patient_id"].bytes_list.value[0] = b"patient%07d" % (number // 3)
            writer.write(example.SerializeToString(deterministic=True))
            number += 1
        writer.close()
    _describe(few, partial, count)
    partial.parents[2].rename(target)
    return target


def _describe(few: pathlib.Path, many: pathlib.Path, count: int) -> None:
    shutil.copy(few / "features.json", many)
    info = json.loads((few / "dataset_info.json").read_text())
    [split] = [each for each in info["splits"] if each["name"] == SPLIT]
    full, rest = divmod(count, _IN_A_FILE)
    lengths = [_IN_A_FILE] * full + [rest] * bool(rest)
    split["shardLengths"] = list(map(str, lengths))
    info["splits"] = [split]
    (many / "dataset_info.json").write_text(json.dumps(info))
    metadata = json.loads((few / "metadata.json").read_text())
    metadata["shards"] = identity.shards(many)
    del metadata["columns"]
    (many / "metadata.json").write_text(json.dumps(metadata))
    metadata["columns"] = columns.write(
        builders.open_builder(DATASET, str(many.parents[2]))
    )
    (many / "metadata.json").write_text(json.dumps(metadata))


def seconds(data_dir: pathlib.Path) -> dict[str, float]:
    """CPU seconds of opening it, of the table of its split, and of its fingerprint."""
    marks = [time.process_time()]
    builder = builders.open_builder(DATASET, str(data_dir))
    marks.append(time.process_time())
    split = builders.load(builder, SPLIT)
    marks.append(time.process_time())
    fingerprint(split, columns.table_digest(builder, SPLIT))
    marks.append(time.process_time())
    names = ("open", "table", "fingerprint")
    return {name: b - a for name, a, b in zip(names, marks, marks[1:], strict=False)}


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as temporary:
        folder = places.expanded(values.folder or temporary).absolute()
        print(machine.describe("numpy", "array_record"), flush=True)
        data_dir = multiplied(folder, values.films)
        [path] = data_dir.glob(f"{DATASET}/*/metadata.json")
        size = (path.parent / columns.FILE).stat().st_size
        print(
            f"{values.films:,} films; {columns.FILE}: {size / 1e6:.1f} MB", flush=True
        )
        _print("columns", [seconds(data_dir) for _ in range(values.repeats)])
        if values.records:
            text = path.read_text()
            metadata = json.loads(text)
            del metadata["columns"]
            path.write_text(json.dumps(metadata))
            try:
                _print("records", [seconds(data_dir)])
            finally:
                path.write_text(text)


def _print(name: str, found: list[dict[str, float]]) -> None:
    for part in found[0]:
        times = [each[part] for each in found]
        spread = f"{min(times):.2f}-{max(times):.2f}, n={len(times)}"
        print(f"{name:8} {part:12} {statistics.median(times):8.2f} s ({spread})")


if __name__ == "__main__":
    flags.DEFINE_integer("films", 1_000_000, "records of the dataset")
    flags.DEFINE_integer("repeats", 3, "times that it is opened")
    flags.DEFINE_bool("records", True, "also once without the file of columns")
    flags.DEFINE_string("folder", "", "keep the records here")
    command.run(main)
