"""Weights written by Keras, as {'layer/kernel': array} by the names of its layers."""

from __future__ import annotations

import io
import pathlib
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cxr_jax.weights import optional
from tfds_builders.common.errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"

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


def read_h5(path: pathlib.Path) -> dict[str, np.ndarray]:
    """HDF5: of keras.applications, `save_weights('x.weights.h5')`, `save('x.h5')`."""
    h5py = optional.package("h5py", "weights", path)
    with _explained(path), h5py.File(path) as file:
        return _layers(file, path)


def read_keras(path: pathlib.Path) -> dict[str, np.ndarray]:
    """A whole saved model of Keras 3, `model.save('x.keras')`; only weights are read."""
    h5py = optional.package("h5py", "weights", path)
    with _explained(path), zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights) as file:
            return _layers(file, path)


def _layers(file, path: pathlib.Path) -> dict[str, np.ndarray]:
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs:
        return _of_keras_2(root)
    found = _of_keras_3(file)
    if not found:
        raise InputError(
            path,
            "is HDF5, but holds no layers with their names",
            "load the model in Keras 3.6 or later and save it again: "
            "model.save_weights('x.weights.h5')",
        )
    return found


def _of_keras_2(root) -> dict[str, np.ndarray]:
    """Layers by name. In files of Keras 1 names say nothing (uniform1): a variable of
    several axes is then the kernel, the other one the bias.
    """
    found = {}
    for layer in map(_text, root.attrs["layer_names"]):
        for name in map(_text, root[layer].attrs["weight_names"]):
            array = np.asarray(root[layer][name])
            found[f"{layer}/{_variable(name, array)}"] = array
    return found


def _of_keras_3(file) -> dict[str, np.ndarray]:
    """Layers by class and number, with their name as an attribute of the variables."""
    found = {}

    def visit(group: str, variables) -> None:
        kind = re.sub(r"_\d+$", "", group.removesuffix("/vars").rsplit("/", 1)[-1])
        if not group.endswith("/vars") or kind not in _VARIABLES:
            return
        name = _text(variables.attrs.get("name", ""))
        for title, key in zip(_VARIABLES[kind], sorted(variables), strict=False):
            if name:
                found[f"{name}/{title}"] = np.asarray(variables[key])

    file.visititems(visit)
    return found


def _variable(name: str, array: np.ndarray) -> str:
    title = name.rsplit("/", 1)[-1].partition(":")[0]
    if title in {title for titles in _VARIABLES.values() for title in titles}:
        return title
    return "kernel" if array.ndim > 1 else "bias"


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def _explained(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(path, f"is damaged ({error})", "download it again") from None
