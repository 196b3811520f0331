"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv 1602.07360), names as in torchvision."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import Conv, Dense, Output, dropout, of_style, rematerialised
from cxr_jax.models.pooling import max_pool

# Channels that a fire module squeezes to (it expands to 8 times as many), by stage.
STAGES = ((16, 16), (32, 32), (48, 48, 64, 64))
# Whether pooling counts the window that the border cuts.
CUT_WINDOWS = {"torch": True, "keras": False}


class Fire(nn.Module):
    """1 x 1 to few channels; from them 1 x 1 and 3 x 3 side by side; relus."""

    squeeze: int
    dtype: Any

    @nn.compact
    def __call__(self, x, train: bool):
        def conv(x, width, size, name):
            layer = Conv(
                width, size=size, padding=size // 2, dtype=self.dtype, name=name
            )
            return nn.relu(layer(x))

        x = conv(x, self.squeeze, 1, "squeeze")
        parts = [
            conv(x, 4 * self.squeeze, size, f"expand{size}x{size}") for size in (1, 3)
        ]
        return jnp.concatenate(parts, axis=-1)


class SqueezeNet(nn.Module):
    """Stem, eight fire modules in three stages, dense 'classifier_1'.

    Features are the maps at 1/2, 1/4, 1/8 and 1/16 of the size, before pooling.
    published_head: 1 x 1 to a map of each output, relu, average: as in the paper, but
      no output is below 0, so a sigmoid would never say no. False: see heads.head.
    pool, dropout: of the head, see heads.head; the paper's dropout is 0.5.
    remat: compute each fire module again in the backward pass, to save memory.
    style: 'keras' is the port by which public Keras weights were made; its pooling
      drops rows and columns that are left over.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    stages: Sequence[Sequence[int]] = STAGES
    published_head: bool = False
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "he_fan_in"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        cut = of_style(CUT_WINDOWS, self.style, "SqueezeNet")
        stem = Conv(64, stride=2, padding="VALID", dtype=self.dtype, name="features_0")
        x = nn.relu(stem(images))
        features, index = {"stage1": x}, 2
        fire = rematerialised(Fire) if self.remat else Fire
        for i, widths in enumerate(self.stages, 2):
            x = _pool(x, cut)
            for width in widths:
                index += 1
                x = fire(width, self.dtype, name=f"features_{index}")(x, train)
            features[f"stage{i}"] = x
            index += 1  # torchvision counts the pooling
        if self.published_head:
            return Output(_published(self, x, train), features)
        logits = head_of(self, x, train, "classifier_1")
        return Output(logits, features)


def _published(net: SqueezeNet, x, train: bool):
    """[B, num_outputs], none below 0. Dense: the same leaves as of heads.head."""
    x = dropout(x, net.dropout, train=train, name="dropout")
    x = Dense(net.num_outputs, dtype=jnp.float32, name="classifier_1")(
        x.astype(jnp.float32)
    )
    return nn.relu(x).mean(axis=(1, 2))


def _pool(x, cut: bool):
    """Max-pool 3 with stride 2; zeros after the last row are exact, x being >= 0."""
    after = [(length - 3) % 2 if cut else 0 for length in x.shape[1:3]]
    x = jnp.pad(x, ((0, 0), (0, after[0]), (0, after[1]), (0, 0)))
    return max_pool(x, size=3, stride=2)


def squeezenet1_1(num_outputs: int, dtype=jnp.float32, **kwargs) -> SqueezeNet:
    """1,235,496 parameters with 3 channels and 1000 outputs."""
    return SqueezeNet(num_outputs, dtype, **kwargs)
