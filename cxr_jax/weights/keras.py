"""Weights written by Keras, as {'layer/kernel': array} by the names of its layers.

Runs in a process of its own, see `subreader`.
"""

from __future__ import annotations

import io
import pathlib
import re
import zipfile
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.weights import claims, optional
from cxr_jax.weights.claims import Contents
from tfds_builders.common.errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"

_SAVE = (
    "load the model in Keras 3.6 or later and save it again: "
    "model.save_weights('x.weights.h5')"
)
# Variables of a layer in the order in which Keras 3 stores them, by kind of layer.
_VARIABLES = {
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("depthwise_kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "layer_scale": ("gamma",),
    "normalization": ("mean", "variance", "count"),
}
# Ends of the names of batch norms in Keras 1; running_std was a variance.
_KERAS_1 = {"gamma": "gamma", "beta": "beta", "running_mean": "moving_mean"}
_KERAS_1 |= {"running_std": "moving_variance"}
# Keras 3 stores them as layers are stored.
_NO_WEIGHTS = re.compile(r"(^|/)(optimizer|metrics|compile_metrics|seed_generator)")


class _Variable(NamedTuple):
    """A dataset and its two names: `long` says which nested model it is in."""

    short: str
    long: str
    dataset: Any


def read_h5(path: pathlib.Path) -> Contents:
    """HDF5: of keras.applications, `save_weights('x.weights.h5')`, `save('x.h5')`."""
    h5py = optional.package("h5py", "weights", path)
    with h5py.File(path, "r") as file:
        return Contents(_layers(file, path))


def read_keras(path: pathlib.Path) -> Contents:
    """A whole saved model of Keras 3, `model.save('x.keras')`; only weights are read."""
    h5py = optional.package("h5py", "weights", path)
    with zipfile.ZipFile(path) as archive:
        claims.check_size(path, archive.getinfo("model.weights.h5").file_size)
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r") as file:
        return Contents(_layers(file, path))


def _layers(file, path: pathlib.Path) -> dict[str, np.ndarray]:
    root = _member(file, "model_weights", path) if "model_weights" in file else file
    if any(name in root.attrs for name in ("layer_names", "layer_names0")):
        found = _of_keras_2(root, path)
    else:
        found = _of_keras_3(file, path)
    if not found:
        raise InputError(path, "is HDF5, but holds no layers with their names", _SAVE)
    named = _named(found, path)
    claimed = 0
    for name, dataset in named.items():
        _check(path, name, dataset)
        claimed += claims.bytes_of(dataset.shape, dataset.dtype.itemsize)
    claims.check_size(path, claimed)
    return {name: np.asarray(dataset) for name, dataset in named.items()}


def _of_keras_2(root, path: pathlib.Path) -> list[_Variable]:
    """Layers by name; a model within the model counts as one layer of many names.

    In files of Keras 1 names say nothing (uniform1): a variable of several axes is then
    the kernel, the other one the bias.
    """
    found = []
    for layer in _names(root, "layer_names", path):
        group = _member(root, layer, path)
        names = _names(group, "weight_names", path)
        parents = [name.rpartition("/")[0] for name in names]
        datasets = [_member(group, name, path) for name in names]
        titles = list(map(_variable, names, datasets))
        if len(set(zip(parents, titles, strict=True))) < len(names):
            titles = list(map(_title, names))  # a kind of layer that is not known here
        # Keras 1 wrote 'uniform3' and 'fire2/squeeze1x1_b' of one layer.
        is_model = len(set(parents)) > 1 and (
            len(set(titles)) < len(titles) or titles == list(map(_title, names))
        )
        for parent, variable, dataset in zip(parents, titles, datasets, strict=True):
            short = long = f"{layer}/{variable}"
            if is_model:
                inner = parent.removeprefix(f"{layer}/")
                short = f"{inner.rpartition('/')[2]}/{variable}"
                long = f"{layer}/{inner}/{variable}"
            found.append(_Variable(short, long, dataset))
    return found


def _of_keras_3(file, path: pathlib.Path) -> list[_Variable]:
    """Layers by class and number, with their name as an attribute of the variables."""
    found = []

    def visit(group: str, variables) -> None:
        if not group.endswith("/vars") or _NO_WEIGHTS.search(group):
            return
        *models, place = group.removesuffix("/vars").split("/")
        name = _text(variables.attrs.get("name", ""))
        if not name:
            return
        keys = sorted(variables)
        titles = _VARIABLES.get(re.sub(r"_\d+$", "", place), ())
        if place.startswith("batch_normalization") and len(keys) < len(titles):
            titles = ()  # without scale or centre: which one lacks is not stored
        titles = (*titles[: len(keys)], *keys[len(titles) :])
        above = "/".join(part for part in models if part != "layers")
        for title, key in zip(titles, keys, strict=True):
            dataset = _member(variables, key, path)
            short = f"{name}/{title}"
            found.append(_Variable(short, f"{above}/{short}".lstrip("/"), dataset))

    file.visititems(visit)
    return found


def _named(found: list[_Variable], path: pathlib.Path) -> dict[str, Any]:
    """{name: dataset}: the short one, where no two variables share it."""
    counts = Counter(each.short for each in found)
    named = {}
    for short, long, dataset in found:
        name = short if counts[short] == 1 else long
        if name in named:
            raise InputError(path, f"two of its variables are called {name}", _SAVE)
        named[name] = dataset
    return named


def _names(group, key: str, path: pathlib.Path) -> list[str]:
    """The names in an attribute; long lists are cut into key0, key1, .."""
    parts, number = [], 0
    if key in group.attrs:
        parts.append(group.attrs[key])
    while f"{key}{number}" in group.attrs:
        parts.append(group.attrs[f"{key}{number}"])
        number += 1
    if not parts or not all(isinstance(part, np.ndarray) for part in parts):
        raise InputError(path, f"the {key} of {group.name} are no list of names", _SAVE)
    return [_text(name) for part in parts for name in part.ravel()]


def _member(group, name: str, path: pathlib.Path):
    """What lies there, if the file itself holds it: links may lead to other files."""
    for part in filter(None, name.split("/")):
        link = group.get(part, getlink=True) if hasattr(group, "get") else None
        if link is None:
            raise InputError(path, f"names {name}, which is not in it", _SAVE)
        if type(link).__name__ != "HardLink":
            raise InputError(path, f"{name} is a link to elsewhere", _SAVE)
        group = group[part]
    return group


def _check(path: pathlib.Path, name: str, dataset) -> None:
    if not hasattr(dataset, "dtype") or dataset.shape is None:
        raise InputError(path, f"{name} holds no numbers", _SAVE)
    if dataset.external or dataset.is_virtual:
        raise InputError(path, f"{name} lies in another file (external storage)", _SAVE)
    claims.check_type(path, name, dataset.dtype)


def _variable(name: str, dataset) -> str:
    title = _title(name)
    for known in _KERAS_1:
        if title.endswith(f"_{known}"):
            return _KERAS_1[known]
    if title in {title for titles in _VARIABLES.values() for title in titles}:
        return title
    return "kernel" if len(getattr(dataset, "shape", None) or ()) > 1 else "bias"


def _title(name: str) -> str:
    """'bn1/gamma:0' -> 'gamma'."""
    return name.rsplit("/", 1)[-1].partition(":")[0]


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
