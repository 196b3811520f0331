"""Synthetic films as a prepared dataset, to time how it is read."""

from __future__ import annotations

import pathlib
import shutil
from typing import NamedTuple

import cv2
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from tensorflow_datasets.proto import tf_example_pb2

from cxr_jax.data import builders, decode
from cxr_jax.data.split import Split
from tfds_builders.build import build, is_prepared, make_builder
from tfds_builders.phantom import write_release


class Films(NamedTuple):
    """The input of every reader.

    Attributes:
      data_dir: of the prepared dataset.
      dataset: 'covidgr/512'.
      side: of the squares that are read, in pixels; smaller films get black margins,
        so that no reader has to resize.
      records: number read in an epoch; the films repeat.
      batch_size: images per batch.
    """

    data_dir: str
    dataset: str
    side: int
    records: int
    batch_size: int

    def positions(self) -> np.ndarray:
        """int64 [records]: the film of each record of an epoch."""
        return np.resize(np.arange(self.whole().size), self.records)

    def whole(self) -> Split:
        """All films that the builder kept."""
        return builders.load(builders.open_builder(self.dataset, self.data_dir), "all")

    def hashes(self) -> set[int]:
        """Hashes of the bytes of each square image, decoded one by one."""
        split = self.whole()
        return {
            hash(decode.image(split.read(i)["image"], self.side, "pad").tobytes())
            for i in split.rows.tolist()
        }


def draw(folder: pathlib.Path, dataset: str, size: int, films: int) -> str:
    """Draws `films` films of `size` pixels and builds `dataset`; -> data_dir."""
    data_dir = folder / dataset.replace("/", "_")
    if not is_prepared(make_builder(dataset, data_dir)):
        release = folder / "release"
        shutil.rmtree(release, ignore_errors=True)
        write_release(dataset.split("/")[0], release, films, size=size)
        build(dataset, release, data_dir, quiet=True)
        shutil.rmtree(release)
    return str(data_dir)


def deflated(data_dir: str, dataset: str) -> str:
    """Writes the same dataset with PNG compressed by OpenCV's own settings."""
    copy = pathlib.Path(f"{data_dir}_deflated")
    if not copy.exists():
        partial = copy.with_name(copy.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(data_dir, partial)
        for path in sorted(partial.rglob("*.array_record*")):
            _deflate(path)
        partial.rename(copy)
    return str(copy)


def _deflate(path: pathlib.Path) -> None:
    reader = ArrayRecordReader(str(path))
    records = reader.read_all()
    reader.close()
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        example = tf_example_pb2.Example.FromString(record)
        png = example.features.feature["image"].bytes_list.value
        pixels = cv2.imdecode(np.frombuffer(png[0], np.uint8), cv2.IMREAD_UNCHANGED)
        png[0] = cv2.imencode(".png", pixels)[1].tobytes()
        writer.write(example.SerializeToString())
    writer.close()
