"""Small datasets drawn from names, as splits in memory or prepared on disk."""

import cv2
import numpy as np
import tensorflow_datasets as tfds

from cxr_jax.audits.data import target as targets
from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.data.split import Split

CLASSES = ("N", "P")


def film(seed, shape=(96, 80)):
    """An image with structure at every scale; two seeds have nothing in common."""
    rng = np.random.default_rng(seed)
    picture = np.zeros(shape, np.float32)
    for side in (3, 6, 12, 24, 48):
        noise = rng.normal(size=(side, side)).astype(np.float32)
        picture += cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC) / side
    return cv2.normalize(picture, None, 10, 240, cv2.NORM_MINMAX, cv2.CV_8U)


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def jpeg_copy(pixels):
    """A near-duplicate: another size, another compression, brighter."""
    small = cv2.resize(pixels, None, fx=0.85, fy=0.85, interpolation=cv2.INTER_AREA)
    code = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return np.clip(cv2.imdecode(code, 0) * 1.05 + 6, 0, 255).astype(np.uint8)


def rows(names, patients=None, labels=None, **columns):
    """Columns of a split whose images are drawn from their names."""
    patients = names if patients is None else patients
    labels = [k % 2 for k in range(len(names))] if labels is None else labels
    return {
        "example_id": list(names),
        "patient_id": list(patients),
        "label": np.array(labels),
        **columns,
    }


def drawn(table):
    return [film(hash_of(name)) for name in table["example_id"]]


def hash_of(name):
    return int.from_bytes(name.encode()[-6:], "big")


def make_splits(parts, pictures=None, name="toy/1", classes=CLASSES, unit="patients"):
    """{split: Split} in memory.

    parts: {split: table of `rows`}; pictures: {split: pixels}, else drawn by name.
    """
    pictures = pictures or {}
    splits = {}
    for split, table in parts.items():
        shown = [png(p) for p in pictures.get(split, drawn(table))]
        splits[split] = Split(
            dataset=name.split("/")[0],
            split=split,
            read=lambda i, shown=shown: {"image": shown[i]},
            rows=np.arange(len(shown)),
            table=table,
            label_names={"label": classes} if classes else {},
            unit=unit,
            synthetic=False,
        )
    return splits


def make_dataset(parts, pictures=None, name="toy/1", classes=CLASSES, **changes):
    """A `Dataset` of `make_splits`."""
    unit = changes.pop("unit", "patients")
    splits = make_splits(parts, pictures, name, classes, unit)
    table = {
        key: np.concatenate([t[key] for t in parts.values()])
        if isinstance(column, np.ndarray)
        else [value for t in parts.values() for value in t[key]]
        for key, column in next(iter(parts.values())).items()
    }
    return Dataset(
        name=name,
        splits=splits,
        table=table,
        split=np.repeat(list(splits), [s.size for s in splits.values()]),
        target=targets.of_columns(table, {"label": classes} if classes else {}),
        description={"name": name},
    )._replace(**changes)


def prepare(folder, name, parts, pictures=None, classes=CLASSES):
    """Writes the same as a prepared TFDS dataset `name`; returns the data_dir."""
    pictures = pictures or {}
    first = next(iter(parts.values()))
    features = {
        "image": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
        **{key: _feature(column) for key, column in first.items()},
    }
    if classes:
        features["label"] = tfds.features.ClassLabel(names=classes)

    class Toy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in parts}

        def _generate_examples(self, split):
            table = parts[split]
            for i, pixels in enumerate(pictures.get(split, drawn(table))):
                row = {key: column[i] for key, column in table.items()}
                yield row["example_id"], {"image": png(pixels), **row}

    Toy.name = name
    Toy(data_dir=folder, file_format="array_record").download_and_prepare()


def _feature(column):
    if isinstance(column, np.ndarray):
        kind = np.float32 if column.dtype.kind == "f" else np.int32
        shape = column.shape[1:]
        return tfds.features.Tensor(shape=shape, dtype=kind) if shape else kind
    return tfds.features.Text()
