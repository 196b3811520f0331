"""A model of a bundle, computed by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxr_jax.bundle import wire
from cxr_jax.predict.recipe import Recipe
from cxr_jax.predict.record import Outputs
from cxr_jax.weights.optional import package
from tfds_builders.common.errors import InputError

INPUT, OUTPUTS = "image", ("probs", "features", "heatmap")
_HINT = "export the run again, with this version of cxr_jax"


class Network:
    """Callable: float32 [n, S, S, 1] in 0..1 -> Outputs, film by film.

    side: S. threads: of ONNX Runtime; 0 leaves it the choice.
    """

    def __init__(self, model: bytes, path: Any, threads: int = 0):
        wire.check(model, path)
        self._session = _session(model, path, threads)
        self._path = path
        given = {each.name: each.shape for each in self._session.get_inputs()}
        shape = given.get(INPUT, ())
        is_square = len(shape) == 4 and shape[1] == shape[2] and shape[0] == 1
        is_square = is_square and isinstance(shape[1], int)
        if list(given) != [INPUT] or not is_square or shape[3] != 1:
            raise InputError(path, f"takes {given}, not one {INPUT!r} [1,S,S,1]", _HINT)
        self.side = int(shape[1])
        self.shapes = {each.name: each.shape for each in self._session.get_outputs()}
        if tuple(self.shapes) not in (OUTPUTS, OUTPUTS[:2]):
            names = ", ".join(self.shapes)
            raise InputError(path, f"gives {names}, not {', '.join(OUTPUTS)}", _HINT)

    def __call__(self, images: np.ndarray) -> Outputs:
        if images.shape[1:] != (self.side, self.side, 1):
            raise ValueError(f"images are {images.shape}, the side is {self.side}")
        names = list(self.shapes)
        try:
            rows = [self._session.run(names, {INPUT: each[None]}) for each in images]
        except (RuntimeError, *_faults(self._path)) as error:
            found = f"ONNX Runtime cannot compute it: {_short(error)}"
            raise InputError(self._path, found, _HINT) from None
        joined = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        return Outputs(*joined, *[None] * (len(OUTPUTS) - len(names)))


def check_fits(network: Network, recipe: Recipe, path: Any) -> None:
    """Raises InputError unless the recipe is one of this network."""
    wanted = [1, len(recipe.questions), len(recipe.classes)]
    found = list(network.shapes["probs"])
    if network.side != recipe.preprocess.side or found != wanted:
        raise InputError(
            path,
            f"is of {network.side} pixels and gives probs {found}, where the bundle says "
            f"{recipe.preprocess.side} and {wanted}",
            _HINT,
        )


def _session(model: bytes, path: Any, threads: int) -> Any:
    runtime = package("onnxruntime", "score", path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its messages are for its developers
    try:
        return runtime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
    except (RuntimeError, *_faults(path)) as error:
        found = f"ONNX Runtime cannot read it: {_short(error)}"
        raise InputError(path, found, _HINT) from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _faults(path: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's own exceptions: one for each kind of fault, without a base."""
    runtime = package("onnxruntime", "score", path)
    known = vars(runtime.capi.onnxruntime_pybind11_state).values()
    return tuple(
        each for each in known if isinstance(each, type) and issubclass(each, Exception)
    )
