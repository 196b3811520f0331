"""DenseNet-121 (Huang et al. 2017, arXiv 1608.06993), names as in torchvision."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.layers import Conv, Output, avg_pool, batch_norm, head, max_pool


class DenseLayer(nn.Module):
    """Norm, relu, 1 x 1 to 4 x growth; norm, relu, 3 x 3 to growth; concatenated."""

    growth: int
    dtype: Any

    @nn.compact
    def __call__(self, x, *, train: bool):
        y = nn.relu(batch_norm(x, train=train, name="norm1", dtype=self.dtype))
        y = Conv(
            4 * self.growth, size=1, use_bias=False, dtype=self.dtype, name="conv1"
        )(y)
        y = nn.relu(batch_norm(y, train=train, name="norm2", dtype=self.dtype))
        y = Conv(
            self.growth, padding=1, use_bias=False, dtype=self.dtype, name="conv2"
        )(y)
        return jnp.concatenate([x, y], axis=-1)


class Transition(nn.Module):
    """Norm, relu, 1 x 1 to half the channels, average-pool 2."""

    dtype: Any

    @nn.compact
    def __call__(self, x, *, train: bool):
        width = x.shape[-1] // 2
        x = nn.relu(batch_norm(x, train=train, name="norm", dtype=self.dtype))
        x = Conv(width, size=1, use_bias=False, dtype=self.dtype, name="conv")(x)
        return avg_pool(x, size=2)


class DenseNet(nn.Module):
    """Stem, dense blocks with transitions between them, dense layer 'classifier'.

    Features are the outputs of the dense blocks, the last one after norm and relu.
    pool, dropout: of the head, see layers.head.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (6, 12, 24, 16)
    growth: int = 32
    stem: int = 64
    pool: str = "global"
    dropout: float = 0.0
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
        for i, depth in enumerate(self.depths, 1):
            for j in range(1, depth + 1):
                x = DenseLayer(
                    self.growth, self.dtype, name=f"denseblock{i}_denselayer{j}"
                )(x, train=train)
            if i < len(self.depths):
                features[f"stage{i}"] = x
                x = Transition(self.dtype, name=f"transition{i}")(x, train=train)
        x = nn.relu(batch_norm(x, train=train, name="norm5", dtype=self.dtype))
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
