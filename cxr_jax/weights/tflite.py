"""A MobileNetV2 of TensorFlow Lite: its batch norms are folded into the convolutions.

Stored in the order of the network, `NN_conv_w`, `NN_dw_w` and `_b`. Our norms are set
to add the bias and do nothing else, so the network is the same; they hold no statistics
of activations, so they must stay frozen in training (config.optim.frozen_norms='.').
"""

from __future__ import annotations

import re

import numpy as np

_LAYERS = 53
_EPSILON = 1e-3  # of batch norms in the style of Keras


def is_one(arrays: dict[str, np.ndarray]) -> bool:
    """Whether arrays of these names are one."""
    return bool(arrays) and all(re.fullmatch(r"\d\d_(conv|dw)_[wb]", n) for n in arrays)


def unfold(arrays: dict[str, np.ndarray], wanted: list[str]) -> dict[str, np.ndarray]:
    """{name in our model: array in our layout}; the classifier keeps its 1001 outputs.

    Args:
      arrays: OHWI convolutions, 1HWC depthwise ones, and biases.
      wanted: names of the leaves of our model.
    """
    stored = sorted(name for name in arrays if name.endswith("_w"))
    if len(stored) != _LAYERS:
        return arrays  # their names then appear in the error
    convolutions = sorted(
        (
            name
            for name in wanted
            if name.startswith("params/features_") and name.endswith("/kernel")
        ),
        key=_place,
    )
    found = {}
    for ours, theirs in zip(convolutions, stored[:-1], strict=True):
        kernel, bias = arrays[theirs], arrays[theirs[:-1] + "b"]
        axes = (1, 2, 0, 3) if "_dw_" in theirs else (1, 2, 3, 0)
        found[ours] = kernel.transpose(axes)
        norm = _norm(ours)
        found[f"params/{norm}/scale"] = np.ones_like(bias)
        found[f"params/{norm}/bias"] = bias
        found[f"batch_stats/{norm}/mean"] = np.zeros_like(bias)
        found[f"batch_stats/{norm}/var"] = np.full_like(bias, 1 - _EPSILON)
    kernel = arrays[stored[-1]]
    found["params/classifier_1/kernel"] = kernel[:, 0, 0].T
    found["params/classifier_1/bias"] = arrays[stored[-1][:-1] + "b"]
    return found


def _place(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _norm(convolution: str) -> str:
    """'params/features_3/conv_2/kernel' -> 'features_3/conv_3': it comes next."""
    path = convolution.split("/", 1)[1].rsplit("/", 1)[0]
    head, _, number = path.rpartition("_")
    return f"{head}_{int(number) + 1}"
