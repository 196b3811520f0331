"""What JAX is set to: the same for every command, so that figures can be repeated."""

from __future__ import annotations

import os
import pathlib

import jax

from cxr_jax.devices import compiled
from tfds_builders.common import places
from tfds_builders.common.errors import InputError

# setting: what it may be. Each can be set by a variable of the environment.
_NEEDED = {
    "jax_enable_x64": ((False,), "everything is computed in float32"),
    "jax_numpy_dtype_promotion": (("standard",), "types are mixed in the usual way"),
    "jax_transfer_guard": ((None, "allow", "log"), "batches go to the device"),
    "jax_transfer_guard_host_to_device": ((None, "allow", "log"), "batches go there"),
    "jax_transfer_guard_device_to_host": ((None, "allow", "log"), "metrics come back"),
}


def apply() -> None:
    """Before anything else of JAX.

    Raises:
      InputError: the environment sets what this project cannot work with.
    """
    for name, (allowed, why) in _NEEDED.items():
        value = getattr(jax.config, name, None)
        if value not in allowed:
            raise InputError(name.upper(), f"is set to {value}, but {why}", "unset it")
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    compiled.use(pathlib.Path(folder or places.cache_dir() / "compiled"))
    jax.config.update("jax_numpy_rank_promotion", "raise")


def check_device() -> None:
    """Raises InputError where there is no device of the kind that was asked for."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    try:
        jax.devices()
    # Where plugins are missing JAX fails on an assertion of its own.
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or ["no such device was found"])[0]
        raise InputError(
            f"JAX_PLATFORMS={asked}" if asked else "JAX",
            f"no device can be used: {reason[:300]}",
            "unset JAX_PLATFORMS, which takes the best there is, or set it to cpu; a GPU "
            "needs its driver and pip install 'jax[cuda12]'",
        ) from error
