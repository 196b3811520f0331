"""BS-Net (Signoroni et al. 2021, arXiv 2006.04603): lungs found, set upright, scored.

What the paper leaves open is chosen here, and docs/bsnet.md lists it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from cxr_jax.models import heads
from cxr_jax.models.alignment import LOCALISERS, resize, sample
from cxr_jax.models.layers import Conv, Output, batch_norm, rematerialised
from cxr_jax.models.pooling import max_pool
from cxr_jax.models.resnet import Block
from cxr_jax.models.unet import NestedDecoder
from tfds_builders.common.errors import InputError


class BSNet(nn.Module):
    """ResNet-18 trunk, U-Net++ decoder, spatial transformer, pyramid, head by zones.

    Trunk and layers are named as in torchvision ('conv1', 'layer1_0', ..), then come
    'decoder', 'mask', 'localiser', 'lateral1' .. 'lateral4', 'merge', 'fc'. Images are
    at least 64 pixels a side; the paper's are 512 x 512 of one channel.

    The features are 'stage1' .. 'stage4' of the trunk, and
      mask: logits of lung [B, H, W, 1] at the size of the images.
      theta: [B, 2, 3], the frame of the lungs (`cxr_jax.ops.frame`).
      aligned_mask: probability of lung [B, H/2, W/2, 1] in that frame.
      zones: [B, 6, H/4, W/4, levels], what each pixel of the frame adds to the logits
        of a zone; their sum and the bias of the head are the logits.

    depths, width: blocks of each stage of the trunk, and channels of the first; each
      stage has twice those of the one before. decoder: channels of the decoder at 1/2, 1/4, 1/8 and
      1/16; U-Net++ has (32, 64, 128, 256), which costs 4 times as much. neck: channels
      of the pyramid. attention: leave in the pyramid what is lung. dropout, remat: as
      in `resnet`.

    What the authors' public code has (docs/bsnet.md):
      mask_scales: the mask is multiplied with every scale before they are merged.
      own_heads: a dense layer for each zone.
      overlap: zones of 0.4 of the height, which overlap.
      localiser: 'published' has two 5 x 5 convolutions of 20 channels on 128 pixels.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    depths: Sequence[int] = (2, 2, 2, 2)
    width: int = 64
    decoder: Sequence[int] = (16, 32, 64, 128)
    neck: int = 128
    attention: bool = True
    mask_scales: bool = False
    own_heads: bool = False
    overlap: bool = False
    localiser: str = "strided"
    dropout: float = 0.0
    remat: bool = False
    scheme: str = "he_fan_out"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        maps = self._trunk(images, train)
        x = NestedDecoder(self.decoder, self.dtype, self.remat, name="decoder")(
            maps, train
        )
        mask = Conv(1, size=1, dtype=jnp.float32, name="mask")(x)
        lung = nn.sigmoid(mask)
        if self.localiser not in LOCALISERS:
            raise InputError(
                "config.model.localiser",
                f"is {self.localiser!r}, which is unknown",
                f"choose one of: {', '.join(LOCALISERS)}",
            )
        localiser = LOCALISERS[self.localiser](dtype=self.dtype, name="localiser")
        theta = localiser(lung, train)
        x = self._pyramid(maps[1:], theta, train, lung if self.mask_scales else None)
        if self.attention and not self.mask_scales:
            x = x * sample(lung, theta, (x.shape[1], x.shape[2])).astype(x.dtype)
        head = heads.ZoneHead(
            self.num_outputs, self.dropout, self.own_heads, self.overlap, name="fc"
        )
        logits, evidence = head(x, train)
        features = {f"stage{i}": each for i, each in enumerate(maps[1:], 1)}
        features |= {
            "mask": resize(mask, images.shape[1:3]),
            "theta": theta,
            "aligned_mask": sample(lung, theta),
            "zones": _by_zone(evidence, self.overlap),
        }
        return Output(logits, features)

    def _trunk(self, x, train: bool) -> list[jax.Array]:
        """Maps at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        x = Conv(
            self.width,
            size=7,
            stride=2,
            padding=3,
            use_bias=False,
            dtype=self.dtype,
            name="conv1",
        )(x)
        x = nn.relu(batch_norm(x, train=train, name="bn1", dtype=self.dtype))
        maps = [x]
        x = max_pool(x, size=3, stride=2, padding=1)
        block = rematerialised(Block) if self.remat else Block
        for i, depth in enumerate(self.depths, 1):
            for j in range(depth):
                x = block(
                    width=self.width * 2 ** (i - 1),
                    stride=2 if i > 1 and j == 0 else 1,
                    bottleneck=False,
                    dtype=self.dtype,
                    name=f"layer{i}_{j}",
                )(x, train)
            maps.append(x)
        return maps

    def _pyramid(self, maps, theta, train: bool, lung=None):
        """Maps of all scales in the frame `theta`, merged at the finest: [B, h, w, neck].

        lung: its probability, with which each map is multiplied first; or None.

        Feature pyramid: Lin et al. 2017, arXiv 1612.03144.
        """
        x = None
        for i, each in reversed(list(enumerate(maps, 1))):
            # A 1 x 1 convolution without a bias may come before the sampling, which
            # then has fewer channels to gather.
            each = Conv(
                self.neck,
                size=1,
                use_bias=False,
                dtype=self.dtype,
                name=f"lateral{i}",
            )(each)
            each = sample(each, theta)
            if lung is not None:
                seen = sample(lung, theta, (each.shape[1], each.shape[2]))
                each = each * seen.astype(each.dtype)
            x = each if x is None else each + resize(x, (each.shape[1], each.shape[2]))
        x = Conv(self.neck, padding=1, use_bias=False, dtype=self.dtype, name="merge")(
            x
        )
        return nn.relu(batch_norm(x, train=train, name="merge_bn", dtype=self.dtype))


def _by_zone(evidence, overlap: bool):
    """[B, 1 or 6, h, w, levels] -> [B, 6, h, w, levels], weighted as in the average."""
    _, _, height, width, _ = evidence.shape
    share = heads.shares(height, width, overlap=overlap)
    return jnp.asarray(share)[None, ..., None] * evidence
