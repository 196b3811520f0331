"""Lungs found on the maps of a frozen trunk, and each of their zones scored.

For few labelled films: nothing but a linear layer learns from the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from cxr_jax.models import lung_boxes
from cxr_jax.models.alignment import resize
from cxr_jax.models.layers import Conv, Output
from cxr_jax.models.mobilenet import STAGES, Stage, trunk
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES

# Grey values of the pixels, -1 to 1, that count as dense and as air.
DENSE, AIR = 0.2, -0.3
# A standardised feature beyond this is cut: a film unlike those of the training must
# not decide by one number.
LIMIT = 5.0
# Of the variance, so that a feature that is always the same stays near 0.
EPSILON = 1e-5


class LungDecoder(nn.Module):
    """Maps of a trunk, coarsest last -> logits of lung at the size of the finest."""

    width: int = 32

    @nn.compact
    def __call__(self, maps):
        """[B, h, w, c] of each scale -> [B, h, w, 1] float32."""
        names = [f"lateral{i}" for i in range(1, len(maps) + 1)]
        maps = [
            Conv(self.width, size=1, use_bias=False, name=name)(each)
            for name, each in zip(names, maps, strict=True)
        ]
        x = nn.relu(maps[-1])
        for i, each in reversed(list(enumerate(maps[:-1], 1))):
            x = each + resize(x, (each.shape[1], each.shape[2]))
            x = nn.relu(
                Conv(self.width, padding=1, use_bias=False, name=f"merge{i}")(x)
            )
        return Conv(1, size=1, name="mask")(x)


class Standard(nn.Module):
    """Features less their mean, times their scale, and cut; nothing here is trained."""

    @nn.compact
    def __call__(self, x):
        """[B, Z, F] float32."""
        shape = (x.shape[-1],)
        mean = self.param("mean", nn.initializers.zeros, shape, jnp.float32)
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        return jnp.clip((x - mean[None, None]) * scale[None, None], -LIMIT, LIMIT)


class LungZones(nn.Module):
    """MobileNetV2, never trained here; 'lungs', a decoder; a linear layer of zones.

    The features of a zone are averages over its lung of three maps of the trunk (at
    1/4, 1/8 and 1/16 of the size) and statistics of its pixels; then the same of its
    whole lung, and of both. They are standardised ('standard'). One linear layer serves
    all zones, each with biases of its own. The task `segment` trains the decoder;
    `launch.zone_ridge` fits 'standard' and the linear layer in closed form.

    mirror: the features are the means of those of an image and of its mirror image,
      lungs and all: twice the cost, and less noise.

    Images are of three equal channels from -1 to 1. Trunk and layers are named as in
    torchvision. Neither gradient reaches anything else, but weight decay would: see
    `configs/best_brixia.py`. The features are
      mask: logits of lung [B, H, W, 1] at the size of the images.
      zones1 .. zones4: of the zones, [B, 6, F]: pixels, then each map.
      stage1 .. stage4: of the trunk.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    stages: Sequence[Stage] = STAGES
    stem: int = 32
    last: int = 1280
    remat: bool = False
    mirror: bool = False
    style: str = "torch"
    scheme: str = "he_fan_in"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        if self.num_outputs != len(ZONES) * LEVELS:
            raise InputError(
                "config.model.name",
                f"scores {len(ZONES)} zones of {LEVELS} levels, and "
                f"{self.num_outputs} outputs are asked for",
                "use it for the tasks segment and brixia",
            )
        count = len(images)
        if self.mirror:
            images = jnp.concatenate([images, images[:, :, ::-1]])
        maps = trunk(self, images, train=False)
        stages = [lax.stop_gradient(each) for each in maps.stages]
        mask = LungDecoder(name="lungs")(stages)
        seen = [stages[0], *(lax.stop_gradient(each) for each in maps.wide[2:])]
        lung = lax.stop_gradient(nn.sigmoid(mask))
        groups = zone_features(images, lung, seen)
        if self.mirror:
            groups = [both_sides(each) for each in groups]
        x = Standard(name="standard")(jnp.concatenate(groups, axis=-1))
        size = images.shape[1], images.shape[2]
        features = {"mask": resize(mask[:count], size)}
        features |= {f"zones{i}": each for i, each in enumerate(groups, 1)}
        # The last of them is what a film is compared with those of the training by.
        features |= {f"stage{i}": each[:count] for i, each in enumerate(stages, 1)}
        return Output(self._linear(x), features)

    def _linear(self, x: jax.Array) -> jax.Array:
        """[B, 6, F] -> logits [B, 24]."""
        shape = (x.shape[-1], LEVELS)
        kernel = self.param("zero_kernel", nn.initializers.zeros, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (len(ZONES), LEVELS))
        logits = jnp.matmul(x, kernel, precision=lax.Precision.HIGHEST) + bias[None]
        return logits.reshape(len(x), -1)


def both_sides(x: jax.Array) -> jax.Array:
    """Features [2 B, 6, F] of images, then of their mirror images -> means [B, 6, F]."""
    own, mirrored = x[: len(x) // 2], x[len(x) // 2 :]
    lungs = [mirrored[:, 3:], mirrored[:, :3]]  # A is where D is in the mirror
    return (own + jnp.concatenate(lungs, axis=1)) / 2


def zone_features(images, lung, maps) -> list[jax.Array]:
    """Features of the six zones, [B, 6, F] float32 of the pixels and of each map.

    Each is followed by that of the whole lung, and of both.

    Args:
      images: [B, H, W, 3], from -1 to 1.
      lung: its probability [B, h, w, 1].
      maps: [B, h, w, C] of the trunk.
    """
    found = lung_boxes.boxes(lung[..., 0])
    groups = [pixel_statistics(images, lung, found)]
    for each in maps:
        height, width = each.shape[1:3]
        inside = lung_boxes.zones(found, height, width)
        inside = lung_boxes.of_lung(inside, resize(lung, (height, width))[..., 0])
        groups.append(lung_boxes.average(inside, each))
    return [jnp.concatenate([each, *context(each)], axis=-1) for each in groups]


def context(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The average of a zone's lung, and that of both, for each zone: [B, 6, F] twice."""
    batch, count, width = x.shape
    lungs = x.reshape(batch, 2, count // 2, width).mean(axis=2, keepdims=True)
    shape = (batch, 2, count // 2, width)
    both = x.mean(axis=1, keepdims=True)
    return (
        jnp.broadcast_to(lungs, shape).reshape(x.shape),
        jnp.broadcast_to(both, x.shape),
    )


def pixel_statistics(images, lung, found: lung_boxes.Boxes) -> jax.Array:
    """How much of each zone is seen as lung, and its grey values and edges: [B, 6, 10].

    The root of the share that is lung, and of that above a half; mean and deviation of
    the grey values and mean edge of the lung; the same three of the whole zone; the
    shares of the zone that are dense, and that are air.
    """
    shape = lung.shape[1:3]
    grey = images.mean(axis=-1, keepdims=True)
    down = jnp.abs(grey[:, 1:] - grey[:, :-1])
    across = jnp.abs(grey[:, :, 1:] - grey[:, :, :-1])
    edges = jnp.pad(down, ((0, 0), (0, 1), (0, 0), (0, 0)))
    edges = edges + jnp.pad(across, ((0, 0), (0, 0), (0, 1), (0, 0)))
    dense, air = (grey > DENSE).astype(grey.dtype), (grey < AIR).astype(grey.dtype)
    pixels = jnp.concatenate([grey, grey * grey, edges, dense, air], axis=-1)
    pixels = resize(pixels, shape)
    zone = lung_boxes.zones(found, *shape)
    within = lung_boxes.of_lung(zone, lung[..., 0])
    share = jnp.concatenate([lung, (lung > 0.5).astype(lung.dtype)], axis=-1)
    share = jnp.sqrt(jnp.maximum(lung_boxes.average(zone, share), 0))
    of_lung = lung_boxes.average(within, pixels[..., :3])
    of_zone = lung_boxes.average(zone, pixels)
    return jnp.concatenate(
        [share, _moments(of_lung), _moments(of_zone), of_zone[..., 3:]], axis=-1
    )


def _moments(x: jax.Array) -> jax.Array:
    """Mean, mean square and mean edge [.., 3] -> mean, deviation and mean edge."""
    mean, square, edge = x[..., :1], x[..., 1:2], x[..., 2:3]
    deviation = jnp.sqrt(jnp.maximum(square - mean * mean, 1e-6))
    return jnp.concatenate([mean, deviation, edge], axis=-1)
