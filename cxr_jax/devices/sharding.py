"""One axis of devices, `data`: batches are split along it, all else is replicated.

`jit` over this mesh serves one device and many, and batch norm sees the whole batch.
`pmap` is in maintenance mode and would compute the statistics per device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from tfds_builders.common.errors import InputError


def make_mesh(batch_size: int, accumulate: int = 1) -> jax.sharding.Mesh:
    """Returns a mesh of all devices; each part of the batch must divide among them."""
    devices = jax.device_count()
    if batch_size % (devices * accumulate):
        parts = f" in {accumulate} parts" if accumulate > 1 else ""
        raise InputError(
            "config.batch_size",
            f"{batch_size} images{parts} do not divide among {devices} devices",
            f"use a multiple of {devices * accumulate}, or hide devices with "
            "CUDA_VISIBLE_DEVICES",
        )
    # With explicit axes, the default, the gather of the loss fails on jax 0.12.
    return jax.make_mesh((devices,), ("data",), (AxisType.Auto,))


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """A full copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def by_example(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Split along the first axis."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicate(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    """Copies host arrays, equal in all processes, to every device."""
    everywhere = replicated(mesh)

    def place(value):
        host = np.asarray(value)
        return jax.make_array_from_callback(host.shape, everywhere, host.__getitem__)

    # Not device_put, which sends everything between processes to compare it.
    return jax.tree.map(place, tree)


def compute(function: Callable[[], Any], mesh: jax.sharding.Mesh) -> Any:
    """Calls a function without arguments on every device, e.g. to make random keys."""
    return jax.jit(function, out_shardings=replicated(mesh))()


def put(batch: dict[str, Any], mesh: jax.sharding.Mesh) -> dict[str, jax.Array]:
    """Puts this process's part of a batch, [B / processes, ...], on its devices.

    Processes hold consecutive parts, as devices do: `processes.part`.
    """
    split = by_example(mesh)
    return jax.tree.map(
        lambda part: jax.make_array_from_process_local_data(split, part), batch
    )
