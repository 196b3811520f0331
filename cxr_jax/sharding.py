"""One axis of devices, `data`: batches are split over it, everything else is copied.

`jit` over this mesh serves one device and many, and batch norm sees the whole batch.
`pmap` is in maintenance mode and would compute the statistics per device.
"""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from tfds_builders.common.errors import InputError


def make_mesh(batch_size: int) -> jax.sharding.Mesh:
    """A mesh of all devices; the batch has to divide among them."""
    devices = jax.device_count()
    if batch_size % devices:
        raise InputError(
            "config.batch_size",
            f"{batch_size} images do not divide among {devices} devices",
            f"give a multiple of {devices}, or hide devices with CUDA_VISIBLE_DEVICES",
        )
    # Explicit axes, the default, make the loss's gather fail on jax 0.12.
    return jax.make_mesh((devices,), ("data",), (AxisType.Auto,))


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """A full copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def put(batch: dict[str, Any], mesh: jax.sharding.Mesh) -> dict[str, jax.Array]:
    """Host arrays [B, ...] to the devices, split along B."""
    return jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
