"""The nested decoder of U-Net++ (Zhou et al. 2018, arXiv 1807.10165)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.alignment import resize
from cxr_jax.models.layers import Conv, batch_norm, rematerialised


class Node(nn.Module):
    """Two 3 x 3 convolutions, each with batch norm and relu."""

    width: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, train: bool):
        for i in (1, 2):
            x = Conv(
                self.width, padding=1, use_bias=False, dtype=self.dtype, name=f"conv{i}"
            )(x)
            x = nn.relu(batch_norm(x, train=train, name=f"bn{i}", dtype=self.dtype))
        return x


class NestedDecoder(nn.Module):
    """From maps of an encoder to one map at the finest of their scales.

    Node (i, j) of scale i sees all nodes (i, 0) .. (i, j - 1), of which the first is
    the encoder's map, and node (i + 1, j - 1) enlarged.

    widths: channels of the nodes of each scale but the coarsest, finest first.
    """

    widths: Sequence[int]
    dtype: Any = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, maps, train: bool):
        """[finest .. coarsest], [B, h, w, c] each -> [B, h, w, widths[0]]."""
        node = rematerialised(Node) if self.remat else Node
        rows = [[x] for x in maps]
        for j in range(1, len(maps)):
            for i in range(len(maps) - j):
                below = resize(rows[i + 1][j - 1], rows[i][0].shape[1:3])
                x = jnp.concatenate([*rows[i], below], axis=-1)
                name = f"node{i}_{j}"
                rows[i].append(node(self.widths[i], self.dtype, name=name)(x, train))
        return rows[0][-1]
