"""Reads stored records: images as PNG bytes, and the columns of the table.

TFDS turns every feature of a record into an array of its own, which takes longer than
reading it. Here only images are extracted, and columns are made all at once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


class Layout(NamedTuple):
    """The features of a dataset by kind.

    Attributes:
      pictures: names of the images.
      columns: {name: TensorInfo} of the other features.
    """

    pictures: tuple[str, ...]
    columns: dict[str, Any]


def layout(features: tfds.features.FeaturesDict) -> Layout:
    """The layout of `builder.info.features`, which is flat."""
    import tensorflow_datasets as tfds  # here, for commands that open no dataset

    pictures = tuple(
        name
        for name, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    )
    stored = features.get_serialized_info()
    return Layout(
        pictures, {name: stored[name] for name in features if name not in pictures}
    )


def pictures(record: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """Returns {name: PNG bytes} of a serialised tf.train.Example.

    Raises:
      DecodeError: it is not a tf.train.Example.
      IndexError: it has no such image.
    """
    features = _example().FromString(record).features.feature
    return {name: features[name].bytes_list.value[0] for name in names}


def table(records: Sequence[bytes], columns: dict[str, Any]) -> dict[str, Any]:
    """Returns the columns of all records, with the values TFDS would return.

    Args:
      records: serialised tf.train.Examples by index, as in ArrayRecord.
      columns: from `layout`.

    Returns:
      {name: N numbers as an array, N texts as a list of str}.

    Raises:
      DecodeError, IndexError, ValueError: a record does not match `columns`.
    """
    kinds = {name: _kind(info) for name, info in columns.items()}
    values: dict[str, list[Any]] = {name: [] for name in columns}
    example = _example()
    for i in range(len(records)):
        features = example.FromString(records[i]).features.feature
        for name, info in columns.items():
            value = getattr(features[name], kinds[name]).value
            values[name].append(list(value) if info.shape else value[0])
    return {name: _column(values[name], info) for name, info in columns.items()}


@functools.cache
def _example() -> Any:
    """tf.train.Example."""
    from tensorflow_datasets.proto import tf_example_pb2

    return tf_example_pb2.Example  # pyright: ignore[reportAttributeAccessIssue]


def _kind(info) -> str:
    """The field of tf.train.Feature in which TFDS stores such values."""
    kind = np.dtype(info.np_dtype).kind
    return {"f": "float_list", "O": "bytes_list", "S": "bytes_list"}.get(
        kind, "int64_list"
    )


def _column(values: list[Any], info) -> Any:
    if _kind(info) == "bytes_list":
        return [value.decode() for value in values]
    column = np.array(values, info.np_dtype).reshape(len(values), *info.shape)
    # TFDS returns a scalar as a Python number: 64 bits.
    return column if info.shape else np.asarray(column.tolist())
