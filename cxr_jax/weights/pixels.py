"""The pixels that weights were trained on, and whether ours are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cxr_jax.ops import registry
from cxr_jax.weights.source import Source
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict


class Pixels(NamedTuple):
    """(image - mean) / std of RGB pixels in [0, 1], then the first kernel.

    Attributes:
      mean, std: one number or three.
      factor: by which the first kernel is multiplied, where std would be tiny.
      is_bgr: the kernel takes blue, green, red.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    factor: float = 1.0
    is_bgr: bool = False


IMAGENET = Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# -1 to 1: Keras's mode 'tf', TensorFlow Lite, and timm's vision transformers.
SYMMETRIC = Pixels((0.5,), (0.5,))
# Keras's mode 'caffe': 0 to 255, BGR, less a mean.
CAFFE = Pixels((0.485, 0.458, 0.4076), (1.0,), factor=255.0, is_bgr=True)
# torchxrayvision: grey, -1024 to 1024.
XRAYVISION = Pixels((0.5,), (0.5,), factor=1024.0)

UNKNOWN = Pixels((0.0,), (1.0,))

_KERAS = {
    "vgg": CAFFE,
    "resnet": CAFFE,
    "squeezenet": CAFFE,
    "resnet50_v2": SYMMETRIC,
    "resnet101_v2": SYMMETRIC,
    "mobilenet": SYMMETRIC,
    "s1_cnn": SYMMETRIC,  # a MobileNet
}
_TOLERANCE = 2e-3


def of(found: Source, model: str) -> Pixels | None:
    """The pixels of a source; None where only its own config or its maker can tell.

    A first kernel for grey images is not ImageNet's: as a DenseNet or ResNet it is
    torchxrayvision's, and otherwise somebody's own.
    """
    if found.format == "ours":
        return None
    if found.format == "tflite":
        return SYMMETRIC
    if not _takes_colour(found):
        is_known = found.format == "torch" and model.startswith(("densenet", "resnet"))
        return XRAYVISION if is_known else None
    if found.format == "keras":
        fitting = [name for name in _KERAS if model.startswith(name)]
        return _KERAS[max(fitting, key=len)] if fitting else IMAGENET
    return SYMMETRIC if model.startswith("vit") else IMAGENET


def _takes_colour(found: Source) -> bool:
    """Whether one of its convolutions has three input channels: only the first can."""
    axis = 1 if found.format == "torch" else 2
    return any(
        array.ndim == 4 and array.shape[axis] == 3 for array in found.arrays.values()
    )


def check(found: Source, config: ConfigDict) -> None:
    """Refuses preprocessing that gives other pixels than the weights were trained on.

    Raises:
      InputError: with the op that both strings have to end in.
    """
    for role in ("train", "eval"):
        text = config.preprocess[role]
        if found.config is not None:
            theirs = found.config.preprocess[role]
            if _scaling(text) == _scaling(theirs):
                continue
            needed = f"as that run did: {theirs!r}"
        else:
            pixels = of(found, config.model.name)
            if pixels is None or _fits(text, pixels):
                continue
            needed = f"with {_written(text, pixels)}"
        raise InputError(
            f"config.preprocess.{role}",
            f"{text!r} gives other pixels than {found.path} was trained on",
            f"scale them {needed}, as the last op; or keep yours on purpose: "
            "--config.init_excuse='^preprocess$|...'",
        )


def _scaling(text: str) -> list[registry.Call]:
    """The ops that decide the range of the pixels."""
    calls = registry.parse(text)
    return [call for call in calls if call.name in ("standardise", "normalise")]


def _fits(text: str, pixels: Pixels) -> bool:
    scaling = _scaling(text)
    if [call.name for call in scaling] != ["normalise"]:
        return False
    values = dict(zip(("mean", "std"), scaling[0].args, strict=False))
    values |= scaling[0].kwargs
    wanted = _for_channels(text, pixels)
    return all(
        np.allclose(np.ravel(values[name]), wanted[name], atol=_TOLERANCE)
        for name in ("mean", "std")
    )


def _for_channels(text: str, pixels: Pixels) -> dict[str, np.ndarray]:
    is_rgb = any(call.name == "to_rgb" for call in registry.parse(text))
    found = {"mean": np.array(pixels.mean), "std": np.array(pixels.std)}
    if not is_rgb:  # one channel stands for three
        found = {name: values.mean(keepdims=True) for name, values in found.items()}
    return found


def _written(text: str, pixels: Pixels) -> str:
    parts = []
    for values in _for_channels(text, pixels).values():
        numbers = [f"{value:.4g}" for value in values]
        parts.append(numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})")
    return f"normalise({', '.join(parts)})"
