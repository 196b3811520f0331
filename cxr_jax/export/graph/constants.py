"""What depends on no input, computed while the graph is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _reshape(p: dict[str, Any], shape, x):
    return np.reshape(x, shape)


def _broadcast(p: dict[str, Any], shape, x):
    sides = [1] * len(shape)
    for axis, new in enumerate(p["broadcast_dimensions"]):
        sides[new] = x.shape[axis]
    return np.broadcast_to(x.reshape(sides), shape)


def _rsqrt(p: dict[str, Any], shape, x):
    return (1 / np.sqrt(x)).astype(x.dtype)


# Of the many small products of norms: JAX would compile a program for every shape.
SIMPLE: dict[str, Callable[..., np.ndarray]] = {
    "add": lambda p, shape, x, y: x + y,
    "sub": lambda p, shape, x, y: x - y,
    "mul": lambda p, shape, x, y: x * y,
    "max": lambda p, shape, x, y: np.maximum(x, y),
    "neg": lambda p, shape, x: -x,
    "rsqrt": _rsqrt,
    "reshape": _reshape,
    "squeeze": _reshape,
    "broadcast_in_dim": _broadcast,
    "transpose": lambda p, shape, x: x.transpose(p["permutation"]),
    "convert_element_type": lambda p, shape, x: x.astype(p["new_dtype"]),
}


def compute(eqn: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """The results of an equation of a jaxpr, all of whose operands are known."""
    name, shape = eqn.primitive.name, eqn.outvars[0].aval.shape
    if name in SIMPLE:
        found = SIMPLE[name](eqn.params, shape, *operands)
        return [np.asarray(found, eqn.outvars[0].aval.dtype)]
    found = eqn.primitive.bind(*operands, **eqn.params)
    many = found if eqn.primitive.multiple_results else [found]
    return [np.asarray(x) for x in many]
