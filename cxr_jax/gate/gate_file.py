"""A Gate as JSON: numbers as they are, arrays as base64 of their little-endian bytes."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from cxr_jax.gate import gradients
from cxr_jax.gate.fitted import MAPS, UNLIKE, VIEW, Distance, Gate, Map
from tfds_builders.common import forms
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import REAL, Each

FORMAT = 1
_ARRAY = {"shape": list, "float32": str}
_MAP = {"weights": _ARRAY, "bias": REAL, "limit": REAL}
_DISTANCE = {
    "mean": _ARRAY,
    "basis": _ARRAY,
    "variances": _ARRAY,
    "rest": REAL,
    "limit": REAL,
}
FORM = {
    "format": int,
    "films": int,
    "rate": REAL,
    "flat": REAL,
    "shortest": int,
    "aspect": REAL,
    "maps": Each(_MAP, MAPS),
    VIEW: _DISTANCE,
    UNLIKE: _DISTANCE,
}
_HINT = "make the bundle again, or remove gate.json of the run: it is fitted again"


def to_json(gate: Gate) -> dict[str, Any]:
    """What `from_json` reads, ready for json.dumps; equal to the bit after it."""
    found = gate._asdict()
    found["maps"] = {name: _plain(one) for name, one in gate.maps.items()}
    found |= {name: _plain(found[name]) for name in (VIEW, UNLIKE)}
    return {"format": FORMAT, **found}


def from_json(content: dict[str, Any], path: Any = "gate.json") -> Gate:
    """The gate that `to_json` wrote.

    path: of the file, for the message.

    Raises:
      InputError: it is damaged, or of another version.
    """
    forms.check(path, content, FORM, _HINT)
    if content["format"] != FORMAT:
        found = f"has format {content['format']}, and this version reads {FORMAT}"
        raise InputError(path, found, _HINT)
    maps = {
        name: Map(
            _array(path, f"maps.{name}.weights", one["weights"], (gradients.LENGTH,)),
            float(one["bias"]),
            float(one["limit"]),
        )
        for name, one in ((name, content["maps"][name]) for name in MAPS)
    }
    return Gate(
        content["films"],
        float(content["rate"]),
        float(content["flat"]),
        content["shortest"],
        float(content["aspect"]),
        maps,
        _distance(path, VIEW, content[VIEW], gradients.LENGTH),
        _distance(path, UNLIKE, content[UNLIKE], None),
    )


def _plain(of: Map | Distance) -> dict[str, Any]:
    return {
        name: _encoded(value) if isinstance(value, np.ndarray) else value
        for name, value in of._asdict().items()
    }


def _encoded(array: np.ndarray) -> dict[str, Any]:
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return {"shape": list(array.shape), "float32": base64.b64encode(data).decode()}


def _distance(path: Any, key: str, found: dict[str, Any], length) -> Distance:
    mean = _array(path, f"{key}.mean", found["mean"], (length,))
    variances = _array(path, f"{key}.variances", found["variances"], (None,))
    shape = (len(variances), len(mean))
    basis = _array(path, f"{key}.basis", found["basis"], shape)
    limit = float(found["limit"])
    return Distance(mean, basis, variances, float(found["rest"]), limit)


def _array(path: Any, key: str, found: dict[str, Any], shape: tuple) -> np.ndarray:
    """float32 of `shape`, in which None is any length."""
    sizes = found["shape"]
    fits = len(sizes) == len(shape) and all(
        type(size) is int and size >= 0 and want in (None, size)
        for size, want in zip(sizes, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise InputError(path, f"{key} has shape {sizes}, not [{wanted}]", _HINT)
    try:
        data = base64.b64decode(found["float32"], validate=True)
        array = np.frombuffer(data, "<f4").reshape(sizes).astype(np.float32)
    except (binascii.Error, ValueError) as error:
        raise InputError(path, f"{key} is damaged: {error}", _HINT) from None
    if not np.isfinite(array).all():
        raise InputError(path, f"{key} holds numbers that are not finite", _HINT)
    return array
