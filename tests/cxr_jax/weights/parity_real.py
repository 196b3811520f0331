"""The packages' own models, with the weights of `parity_cases.draw`."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
from parity_cases import OUTPUTS, Case, Result, draw, images


def missing(case: Case) -> str:
    """The package that a case needs and that is not installed, or ''."""
    needed = (case.package,) + ("torch",) * (case.package != "keras")
    gone = [name for name in needed if importlib.util.find_spec(name) is None]
    return ", ".join(gone)


def run(case: Case) -> Result:
    """The package's result for `images`; maps as [2, h, w, C]."""
    return _keras(case) if case.package == "keras" else _torch(case)


def parameters(case: Case) -> int:
    """Of the package's model with 1000 outputs and 224 px; Keras counts statistics."""
    if case.package == "keras":
        variables = _keras_variables(_keras_model(case, 1000, 224))
        return sum(int(np.prod(variable.shape)) for variable in variables.values())
    model = _torch_model(case, 1000, 224)
    return sum(parameter.numel() for parameter in model.parameters())


def shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """{name of a weight in the package: shape}."""
    if case.package == "keras":
        variables = _keras_variables(_keras_model(case, OUTPUTS, case.side))
        return {name: tuple(variable.shape) for name, variable in variables.items()}
    return _torch_shapes(_torch_model(case, OUTPUTS, case.side).state_dict())


def _torch_shapes(state) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(tensor.shape)
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }


def _torch_model(case: Case, outputs: int, side: int):
    if case.package == "timm":
        import timm

        return timm.create_model(case.theirs, num_classes=outputs, img_size=side)
    import torchvision

    return torchvision.models.get_model(case.theirs, num_classes=outputs)


def _torch(case: Case) -> Result:
    import torch

    model = _torch_model(case, OUTPUTS, case.side).eval()
    state = model.state_dict()
    shapes = _torch_shapes(state)
    weights = {n: torch.from_numpy(a) for n, a in draw(shapes, "torch").items()}
    model.load_state_dict(state | weights)
    maps = {}

    def keep(name):
        # Copied: what follows may work in place.
        return lambda _, __, output: maps.update({name: output.detach().clone()})

    for name, theirs in case.features.items():
        model.get_submodule(theirs).register_forward_hook(keep(name))
    with torch.no_grad():
        x = torch.from_numpy(images(case.side)).permute(0, 3, 1, 2).contiguous()
        logits = model(x).numpy()
    return Result(shapes, logits, {name: _map(y) for name, y in maps.items()})


def xrayvision(films: np.ndarray):
    """torchxrayvision's DenseNet: (state dict, logits [n, 18], names of the outputs).

    films: uint8 [n, H, W].
    """
    import torch
    import torchxrayvision as xrv

    model = xrv.models.DenseNet(weights=None).eval()
    state = model.state_dict()
    drawn = draw(_torch_shapes(state), "torch")
    # Its pixels are a thousand times larger than those for which these are drawn.
    drawn["features.conv0.weight"] /= 1024
    state |= {name: torch.from_numpy(array) for name, array in drawn.items()}
    model.load_state_dict(state)
    x = np.stack([xrv.datasets.normalize(film, 255) for film in films])[:, None]
    with torch.no_grad():
        logits = model(torch.from_numpy(x.astype(np.float32))).numpy()
    return state, logits, tuple(xrv.datasets.default_pathologies)


def _map(tensor) -> np.ndarray:
    """[2, h, w, C] of [2, C, h, w], or of the tokens [2, 1 + n * n, C]."""
    if tensor.ndim == 4:
        return tensor.permute(0, 2, 3, 1).numpy()
    side = round((tensor.shape[1] - 1) ** 0.5)
    return tensor[:, 1:].reshape(len(tensor), side, side, -1).numpy()


def _keras_model(case: Case, outputs: int, side: int):
    # TensorFlow and PyTorch in one process abort, each bringing its LLVM.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    keras.backend.clear_session()
    settings = {"include_preprocessing": False} if "ConvNeXt" in case.theirs else {}
    return getattr(keras.applications, case.theirs)(
        weights=None,
        input_shape=(side, side, 3),
        classes=outputs,
        classifier_activation=None,
        **settings,
    )


def _keras_variables(model) -> dict:
    """{'layer/variable': variable}, without those of pre-processing."""
    found = {}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        kind = type(layer).__name__
        if kind == "Normalization" or layer._layers:
            continue
        for variable in layer.weights:
            # As the files of keras.applications name it.
            depthwise = kind == "DepthwiseConv2D" and variable.name == "kernel"
            leaf = "depthwise_kernel" if depthwise else variable.name
            found[f"{layer.name}/{leaf}"] = variable
    return found


def _keras(case: Case) -> Result:
    model = _keras_model(case, OUTPUTS, case.side)
    import keras

    variables = _keras_variables(model)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    for name, array in draw(shapes, "keras").items():
        variables[name].assign(array)
    layers = {
        name: model.get_layer(theirs.rstrip("<"))
        for name, theirs in case.features.items()
    }
    maps = {
        name: layers[name].input if theirs.endswith("<") else layers[name].output
        for name, theirs in case.features.items()
    }
    x = images(case.side)
    if "EfficientNet" in case.theirs:
        x = x * 255  # it begins with a division by 255
    outputs = keras.Model(model.inputs, [model.output, *maps.values()])(x)
    logits, *found = (keras.ops.convert_to_numpy(y) for y in outputs)
    return Result(shapes, logits, dict(zip(maps, found, strict=True)))
