"""DenseNet-121 (Huang et al. 2017, arXiv 1608.06993), names as in torchvision."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.layers import (
    Conv,
    Output,
    avg_pool,
    batch_norm,
    head,
    max_pool,
    moments,
    rematerialised,
)


class DenseLayer(nn.Module):
    """Norm, relu, 1 x 1 to 4 x growth; norm, relu, 3 x 3 to growth.

    Takes the maps of the block so far, with the moments of each, and gives the next.
    """

    growth: int
    dtype: Any

    @nn.compact
    def __call__(self, maps, train: bool, known):
        y = _norm_relu(maps, known, train=train, name="norm1", dtype=self.dtype)
        y = Conv(
            4 * self.growth, size=1, use_bias=False, dtype=self.dtype, name="conv1"
        )(y)
        y = nn.relu(batch_norm(y, train=train, name="norm2", dtype=self.dtype))
        return Conv(
            self.growth, padding=1, use_bias=False, dtype=self.dtype, name="conv2"
        )(y)


class Transition(nn.Module):
    """Norm, relu, 1 x 1 to half the channels, average-pool 2."""

    dtype: Any

    @nn.compact
    def __call__(self, maps, known, *, train: bool):
        x = _norm_relu(maps, known, train=train, name="norm", dtype=self.dtype)
        width = x.shape[-1] // 2
        x = Conv(width, size=1, use_bias=False, dtype=self.dtype, name="conv")(x)
        return avg_pool(x, size=2)


def _norm_relu(maps, known, **settings):
    """Of the maps side by side. Every norm of a map sees the same moments of it.

    They are computed once: XLA does not notice it across concatenations.
    """
    statistics = tuple(map(jnp.concatenate, zip(*known, strict=True))) or None
    x = jnp.concatenate(maps, axis=-1)
    return nn.relu(batch_norm(x, statistics=statistics, **settings))


class DenseNet(nn.Module):
    """Stem, dense blocks with transitions between them, dense layer 'classifier'.

    Features are the outputs of the dense blocks, the last one after norm and relu.
    pool, dropout: of the head, see layers.head.
    remat: compute each dense layer anew on the way back instead of keeping its inside,
      the concatenation of all maps before it included (Pleiss et al. 2017, arXiv
      1707.06990): memory then grows with the depth, not with its square.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (6, 12, 24, 16)
    growth: int = 32
    stem: int = 64
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    scheme: str = "he_fan_in"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        x = Conv(
            self.stem,
            size=7,
            stride=2,
            padding=3,
            use_bias=False,
            dtype=self.dtype,
            name="conv0",
        )(images)
        x = nn.relu(batch_norm(x, train=train, name="norm0", dtype=self.dtype))
        x = max_pool(x, size=3, stride=2, padding=1)
        features = {}
        layer = rematerialised(DenseLayer) if self.remat else DenseLayer
        for i, depth in enumerate(self.depths, 1):
            maps, known = [], []
            for j in range(depth + 1):
                if j:
                    name = f"denseblock{i}_denselayer{j}"
                    x = layer(self.growth, self.dtype, name=name)(maps, train, known)
                maps.append(x)
                if train:
                    known.append(moments(x))
            if i < len(self.depths):
                features[f"stage{i}"] = jnp.concatenate(maps, axis=-1)
                name = f"transition{i}"
                x = Transition(self.dtype, name=name)(maps, known, train=train)
        x = _norm_relu(maps, known, train=train, name="norm5", dtype=self.dtype)
        features[f"stage{len(self.depths)}"] = x
        logits = head(
            x,
            self.num_outputs,
            pool=self.pool,
            rate=self.dropout,
            train=train,
            name="classifier",
        )
        return Output(logits, features)


def densenet121(num_outputs: int, dtype=jnp.float32, **kwargs) -> DenseNet:
    """7,978,856 parameters with 3 channels and 1000 outputs."""
    return DenseNet(num_outputs, dtype, **kwargs)
