"""DenseNet-121/161/169/201 (Huang et al. 2017, arXiv 1608.06993), names: torchvision."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import (
    Conv,
    Output,
    batch_norm,
    moments,
    of_style,
    rematerialised,
)
from cxr_jax.models.pooling import avg_pool, max_pool

NORMS = {
    "torch": {"momentum": 0.9, "epsilon": 1e-5},
    "keras": {"momentum": 0.99, "epsilon": 1.001e-5},
}


class DenseLayer(nn.Module):
    """Norm, relu, 1 x 1 to 4 x growth; norm, relu, 3 x 3 to growth.

    Takes the maps of the block so far, with the moments of each, and gives the next.
    """

    growth: int
    dtype: Any
    style: str

    @nn.compact
    def __call__(self, maps, train: bool, known):
        norms = {"train": train, "dtype": self.dtype, **NORMS[self.style]}
        y = _norm_relu(maps, known, name="norm1", **norms)
        y = Conv(
            4 * self.growth, size=1, use_bias=False, dtype=self.dtype, name="conv1"
        )(y)
        y = nn.relu(batch_norm(y, name="norm2", **norms))
        return Conv(
            self.growth, padding=1, use_bias=False, dtype=self.dtype, name="conv2"
        )(y)


class Transition(nn.Module):
    """Norm, relu, 1 x 1 to half the channels, average-pool 2."""

    dtype: Any
    style: str

    @nn.compact
    def __call__(self, maps, known, *, train: bool):
        norms = {"train": train, "dtype": self.dtype, **NORMS[self.style]}
        x = _norm_relu(maps, known, name="norm", **norms)
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
    pool, dropout: of the head, see heads.head.
    remat: compute each dense layer again in the backward pass, and with it the
      concatenation of all maps before it (Pleiss et al. 2017, arXiv 1707.06990):
      memory then grows with the depth, not with its square.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (6, 12, 24, 16)
    growth: int = 32
    stem: int = 64
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "he_fan_in"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        norms = of_style(NORMS, self.style, "DenseNet")
        norms = {"train": train, "dtype": self.dtype, **norms}
        x = Conv(
            self.stem,
            size=7,
            stride=2,
            padding=3,
            use_bias=False,
            dtype=self.dtype,
            name="conv0",
        )(images)
        x = nn.relu(batch_norm(x, name="norm0", **norms))
        x = max_pool(x, size=3, stride=2, padding=1)
        features = {}
        layer = rematerialised(DenseLayer) if self.remat else DenseLayer
        maps, known = [], []
        for i, depth in enumerate(self.depths, 1):
            maps, known = [], []
            for j in range(depth + 1):
                if j:
                    name = f"denseblock{i}_denselayer{j}"
                    settings = (self.growth, self.dtype, self.style)
                    x = layer(*settings, name=name)(maps, train, known)
                maps.append(x)
                if train:
                    known.append(moments(x))
            if i < len(self.depths):
                features[f"stage{i}"] = jnp.concatenate(maps, axis=-1)
                name = f"transition{i}"
                transition = Transition(self.dtype, self.style, name=name)
                x = transition(maps, known, train=train)
        x = _norm_relu(maps, known, name="norm5", **norms)
        features[f"stage{len(self.depths)}"] = x
        logits = head_of(self, x, train, "classifier")
        return Output(logits, features)


def densenet121(num_outputs: int, dtype=jnp.float32, **kwargs) -> DenseNet:
    """7,978,856 parameters with 3 channels and 1000 outputs."""
    return DenseNet(num_outputs, dtype, **kwargs)


def densenet161(num_outputs: int, dtype=jnp.float32, **kwargs) -> DenseNet:
    """28,681,000 parameters with 3 channels and 1000 outputs; not in Keras."""
    settings = {"depths": (6, 12, 36, 24), "growth": 48, "stem": 96}
    return DenseNet(num_outputs, dtype, **settings, **kwargs)


def densenet169(num_outputs: int, dtype=jnp.float32, **kwargs) -> DenseNet:
    """14,149,480 parameters with 3 channels and 1000 outputs."""
    return DenseNet(num_outputs, dtype, depths=(6, 12, 32, 32), **kwargs)


def densenet201(num_outputs: int, dtype=jnp.float32, **kwargs) -> DenseNet:
    """20,013,928 parameters with 3 channels and 1000 outputs."""
    return DenseNet(num_outputs, dtype, depths=(6, 12, 48, 32), **kwargs)
