"""Ways to read the same films: endless square batches [B, side, side, 1].

Torch and TensorFlow are imported where they are used, as neither has to be installed.
"""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator

import cv2
import grain
import numpy as np
import tensorflow_datasets as tfds

from benchmarks.films import Films
from cxr_jax.data import builders, cache, decode, pipeline
from cxr_jax.data.split import Split, take


def ours(films: Films) -> Iterator[np.ndarray]:
    """Batches as training reads them."""
    return _ours(films, _split(films))


def ours_held(films: Films) -> Iterator[np.ndarray]:
    """Batches as training reads them with config.data.residency=host."""
    split = _split(films)
    return _ours(films, split._replace(pixels=cache.decoded(split, films.side, "pad")))


def previous(films: Films) -> Iterator[np.ndarray]:
    """Batches as training read them in version 0.1.0: Grain, record by record."""

    class Examples:
        def __init__(self):
            builder = builders.open_builder(films.dataset, films.data_dir)
            skip = {"image": tfds.decode.SkipDecoding()}
            self.source = builder.as_data_source("all", decoders=skip)

        def __len__(self):
            return films.records

        def __getitem__(self, index):
            record = self.source[int(index % len(self.source))]
            return {
                "image": decode.image(record["image"], films.side, "pad"),
                "index": np.int32(index),
                "label": np.int32(0),
            }

    dataset = grain.MapDataset.source(Examples()).seed(0).shuffle().repeat()
    return _batches(dataset, films)


def plain(films: Films) -> Iterator[np.ndarray]:
    """Grain over tfds.data_source, which decodes."""
    decoded = builders.open_builder(films.dataset, films.data_dir).as_data_source("all")

    def example(index):
        picture = decoded[int(index % len(decoded))]["image"]
        return {"image": padded(picture[..., 0], films.side), "label": np.int32(0)}

    dataset = grain.MapDataset.range(films.records).seed(0).shuffle().repeat()
    return _batches(dataset.map(example), films)


def torch_records(films: Films) -> Iterator[np.ndarray]:
    """PyTorch's DataLoader, two spawned workers, over tfds.data_source."""
    return _torch(films, _Records(films))


def torch_files(films: Films) -> Iterator[np.ndarray]:
    """PyTorch's DataLoader, two spawned workers, over the same PNG bytes as files."""
    split = films.whole()
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(pathlib.Path(folder, f"{i:06d}.png")) for i in range(split.size)]
        for i, path in enumerate(paths):
            pathlib.Path(path).write_bytes(split.read(i)["image"])
        yield from _torch(films, _Files(films, paths))


def torch_held(films: Films) -> Iterator[np.ndarray]:
    """PyTorch's DataLoader over a TensorDataset of decoded images."""
    import torch

    pixels = torch.from_numpy(cache.decoded(_split(films), films.side, "pad")["image"])
    dataset = torch.utils.data.TensorDataset(pixels, torch.zeros(films.records))
    loader = torch.utils.data.DataLoader(
        dataset, films.batch_size, shuffle=True, drop_last=True
    )
    while True:
        for image, _ in loader:
            yield image.numpy()


def tensorflow_records(films: Films) -> Iterator[np.ndarray]:
    """tf.data over the same records in a TFRecord file, all autotuned."""
    import tensorflow as tf

    builder = builders.open_builder(films.dataset, films.data_dir)
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    records = builder.as_data_source("all", deserialize_method=raw)
    dtype = tf.as_dtype(builder.info.features["image"].np_dtype)

    def example(record):
        text = tf.io.FixedLenFeature([], tf.string)
        png = tf.io.parse_single_example(record, {"image": text})["image"]
        image = tf.io.decode_png(png, channels=1, dtype=dtype)
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        top, left = (films.side - height) // 2, (films.side - width) // 2
        return tf.image.pad_to_bounding_box(image, top, left, films.side, films.side)

    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, "films.tfrecord"))
        with tf.io.TFRecordWriter(path) as writer:
            for i in films.positions().tolist():
                writer.write(records[i])
        dataset = tf.data.TFRecordDataset(path).shuffle(films.records).repeat()
        dataset = dataset.map(example, tf.data.AUTOTUNE, deterministic=False)
        dataset = dataset.batch(films.batch_size).prefetch(tf.data.AUTOTUNE)
        yield from dataset.as_numpy_iterator()


def tensorflow_held(films: Films) -> Iterator[np.ndarray]:
    """tf.data over decoded images in memory."""
    import tensorflow as tf

    pixels = cache.decoded(_split(films), films.side, "pad")["image"]
    order = tf.data.Dataset.range(films.records).shuffle(films.records).repeat()
    held = tf.constant(pixels)
    dataset = order.batch(films.batch_size).map(
        lambda index: tf.gather(held, index), tf.data.AUTOTUNE, deterministic=False
    )
    return dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def padded(image: np.ndarray, side: int) -> np.ndarray:
    """Centres the image [H, W] in a black [side, side, 1]."""
    square = np.zeros((side, side, 1), image.dtype)
    height, width = image.shape
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width, 0] = image
    return square


class _Records:
    """A map-style dataset for torch, opened again in each worker."""

    def __init__(self, films: Films):
        self.films, self.source = films, None

    def __len__(self):
        return self.films.records

    def __getitem__(self, index):
        if self.source is None:
            builder = builders.open_builder(self.films.dataset, self.films.data_dir)
            skip = {"image": tfds.decode.SkipDecoding()}
            self.source = builder.as_data_source("all", decoders=skip)
        png = self.source[index % len(self.source)]["image"]
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        return padded(image, self.films.side), 0


class _Files:
    """The same for PNG files."""

    def __init__(self, films: Films, paths: list[str]):
        self.films, self.paths = films, paths

    def __len__(self):
        return self.films.records

    def __getitem__(self, index):
        path = self.paths[index % len(self.paths)]
        image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        return padded(image, self.films.side), 0


def _split(films: Films) -> Split:
    return take(films.whole(), films.positions(), "train")


def _ours(films: Films, split: Split) -> Iterator[np.ndarray]:
    targets = {"label": np.zeros(films.records, np.int32)}
    examples = pipeline.Examples(split, targets, size=films.side, square="pad")
    for batch in pipeline.train_batches(
        examples, batch_size=films.batch_size, seed=0, start=0
    ):
        yield batch["image"]


def _batches(dataset: grain.MapDataset, films: Films) -> Iterator[np.ndarray]:
    options = grain.ReadOptions(num_threads=4, prefetch_buffer_size=64)
    for batch in dataset.batch(films.batch_size).to_iter_dataset(options):
        yield batch["image"]


def _torch(films: Films, dataset) -> Iterator[np.ndarray]:
    import torch

    loader = torch.utils.data.DataLoader(
        dataset,
        films.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=2,
        # After a fork array_record ends in a segmentation fault.
        multiprocessing_context="spawn",
        persistent_workers=True,
    )
    while True:
        for image, _ in loader:
            yield image.numpy()
