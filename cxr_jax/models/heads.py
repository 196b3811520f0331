"""The last layers of a model: pooling, dropout, and one dense layer."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax

from cxr_jax.models.layers import Dense, dropout, undrawn
from cxr_jax.models.pooling import area_weights, avg_pool, grid_pool
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import ZONES

POOLS = ("global", "grid", "zones", "projection", "tiles")
HIDDEN = 64  # width of the hidden layer of the pool 'tiles'
ROWS, COLUMNS = 3, 2
HIGHEST = lax.Precision.HIGHEST  # a GPU would round to TF32


def head(x, num_outputs: int, *, pool: str, rate: float, train: bool, name: str):
    """Pool a feature map, dropout, and one dense layer: [B, num_outputs] float32.

    pool: 'global' averages the whole map; 'grid' averages each of 3 x 2 parts and
      flattens them, so that the head knows in which zone something was seen; 'zones'
      averages the same parts, and one dense layer serves them all: see `ZoneHead`;
      'projection' is 'global' with a hidden layer as wide as the map before the dense
      one, for the task contrast (Chen et al. 2020, arXiv 2002.05709); 'tiles' averages
      2 x 2 pixels, flattens them, and has a hidden layer of 64 before the dropout, as
      the pre-trained networks of S3: its parameters fit one image size.
    """
    if pool == "zones":
        return ZoneHead(num_outputs, rate, name=name)(x, train)[0]
    if pool in ("global", "projection"):
        x = x.astype(jnp.float32).mean(axis=(1, 2))
    elif pool == "grid":
        x = grid_pool(x)
        x = x.reshape(x.shape[0], -1)
    elif pool == "tiles":
        x = avg_pool(x.astype(jnp.float32), size=2)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(Dense(HIDDEN, dtype=jnp.float32, name="projection")(x))
    else:
        raise ValueError(f"pool is {pool!r}; it must be one of {', '.join(POOLS)}")
    x = dropout(x, rate, train=train, name="dropout")
    if pool == "projection":
        x = nn.relu(Dense(x.shape[-1], dtype=jnp.float32, name="projection")(x))
    return Dense(num_outputs, dtype=jnp.float32, name=name)(x)


def head_of(model: nn.Module, x, train: bool, name: str):
    """`head` with the settings of a model: `num_outputs`, `pool` and `dropout`."""
    settings = {"pool": model.pool, "rate": model.dropout}
    return head(x, model.num_outputs, train=train, name=name, **settings)


class ZoneHead(nn.Module):
    """Average over each zone of a map, dropout, the same dense layer for each.

    A zone has biases of its own: lower zones are affected more often. With 512
    channels and 24 outputs it has 2,072 parameters, a dense layer on the 3 x 2 grid
    73,752.

    own: a dense layer for each zone. overlap: see `shares`.
    """

    num_outputs: int
    rate: float = 0.0
    own: bool = False
    overlap: bool = False

    @nn.compact
    def __call__(self, x, train: bool):
        """[B, h, w, C] -> (logits [B, num_outputs], evidence [B, Z, h, w, levels]).

        Both float32; levels = num_outputs / 6, Z = 1, or 6 with layers of their own.
        The evidence is what each pixel adds: without dropout, its average over a zone
        (`shares`) and that zone's bias are the logits of the zone.
        """
        levels, rest = divmod(self.num_outputs, len(ZONES))
        if rest or not levels:
            raise InputError(
                "config.model",
                f"a head by zones cannot give {self.num_outputs} outputs: there are "
                f"{len(ZONES)} zones",
                "use it for the task brixia, and pool='global' or 'grid' for others",
            )
        shape = (x.shape[-1], levels * (len(ZONES) if self.own else 1))
        kernel = self.param("kernel", undrawn, shape)
        bias = self.param("bias", nn.initializers.zeros, (len(ZONES), levels))
        x = x.astype(jnp.float32)
        if self.overlap:
            weights = jnp.asarray(shares(*x.shape[1:3], overlap=True))
            zones = jnp.einsum("zhw,bhwc->bzc", weights, x, precision=HIGHEST)
        else:
            zones = grid_pool(x, rows=ROWS, columns=COLUMNS)
        zones = dropout(zones, self.rate, train=train, name="dropout")
        if self.own:
            kernels = kernel.reshape(-1, len(ZONES), levels)
            logits = jnp.einsum("bzc,czl->bzl", zones, kernels, precision=HIGHEST)
            evidence = jnp.einsum("bhwc,czl->bzhwl", x, kernels, precision=HIGHEST)
        else:
            logits, evidence = zones @ kernel, (x @ kernel)[:, None]
        return (logits + bias[None]).reshape(len(x), -1), evidence


def shares(height: int, width: int, *, overlap: bool = False) -> np.ndarray:
    """[6, height, width]: weights of the pixels in the average over each zone.

    overlap: rows from 0 to 0.4, 0.3 to 0.7 and 0.6 to 1 of the height, as in the code
      of BS-Net's authors.
    """
    down = area_weights(height, ROWS)
    if overlap:
        tenths = area_weights(height, 10)
        down = np.stack([tenths[i : i + 4].mean(axis=0) for i in (0, 3, 6)])
    across = area_weights(width, COLUMNS)
    weights = np.einsum("rh,sw->srhw", down, across)
    return weights.reshape(len(ZONES), height, width).astype(np.float32)
