"""State dicts of PyTorch, .pth; pickled objects in them are never read."""

from __future__ import annotations

import pathlib
import re

import numpy as np

from cxr_jax.weights import optional
from tfds_builders.common.errors import InputError

# The format of before PyTorch 1.6 is a pickle, that of later ones a zip.
PICKLE = b"\x80"


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """{name: float32 array} of a state dict, or of one in a checkpoint.

    Raises:
      InputError: no plain state dict.
    """
    torch = optional.package("torch", "torch", path)
    try:
        # Never a free pickle: it could run any program.
        stored = torch.load(path, map_location="cpu", weights_only=True)
    # It raises what the pickle, the archive or its own checks raise.
    except Exception as error:  # noqa: BLE001
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(
            path,
            "is not a plain PyTorch state dict, and pickled objects are not read: "
            f"{reason}",
            "where it was made: torch.save(model.state_dict(), 'weights.pth')",
        ) from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    tensors = {n: v for n, v in stored.items() if isinstance(v, torch.Tensor)}
    return {
        re.sub(r"^module\.", "", name): tensor.float().numpy()
        for name, tensor in tensors.items()
    }
