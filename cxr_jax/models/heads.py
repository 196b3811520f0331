"""One dense layer for all six zones, instead of one for each."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from cxr_jax.models import layers
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import ZONES

ROWS, COLUMNS = 3, 2


class ZoneHead(nn.Module):
    """Average over each zone of a map, drop out, the same dense layer for each.

    A zone has biases of its own: lower zones are affected more often. With 512
    channels and 24 outputs it has 2,072 parameters, a dense layer on the 3 x 2 grid
    73,752.
    """

    num_outputs: int
    rate: float = 0.0

    @nn.compact
    def __call__(self, x, train: bool):
        """[B, h, w, C] -> (logits [B, num_outputs], evidence [B, h, w, num_outputs / 6]).

        Both float32. The evidence is what each pixel adds: without dropout, its average
        over a zone and that zone's bias are the logits of the zone.
        """
        levels, rest = divmod(self.num_outputs, len(ZONES))
        if rest or not levels:
            raise InputError(
                "config.model",
                f"a head by zones cannot give {self.num_outputs} outputs: there are "
                f"{len(ZONES)} zones",
                "take it for the task brixia, and pool='global' or 'grid' for others",
            )
        shape = (x.shape[-1], levels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (len(ZONES), levels))
        zones = layers.grid_pool(x, rows=ROWS, columns=COLUMNS)
        zones = layers.dropout(zones, self.rate, train=train, name="dropout")
        logits = zones @ kernel + bias[None]
        return logits.reshape(len(x), -1), x.astype(jnp.float32) @ kernel


def zones_head(x, num_outputs: int, *, rate: float, train: bool, name: str):
    """`ZoneHead` as a head of any trunk: [B, h, w, C] -> [B, num_outputs]."""
    return ZoneHead(num_outputs, rate, name=name)(x, train)[0]


def shares(height: int, width: int) -> np.ndarray:
    """[6, height, width]: weights of the pixels in the average over each zone."""
    down = layers.area_weights(height, ROWS)
    across = layers.area_weights(width, COLUMNS)
    weights = np.einsum("rh,sw->srhw", down, across)
    return weights.reshape(len(ZONES), height, width).astype(np.float32)
