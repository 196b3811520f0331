"""ViT-S/16, ViT-B/16 (Dosovitskiy et al. 2021, arXiv 2010.11929), names as in timm."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from cxr_jax.models.heads import head_of
from cxr_jax.models.layers import (
    Conv,
    Dense,
    Output,
    drop_path,
    gelu,
    layer_norm,
    of_style,
    rematerialised,
    undrawn,
)

STYLES = {"torch": None}


# Heads that read the class token; the others pool the map.
BY_CLASS = ("global", "projection")


class Attention(nn.Module):
    """Self-attention (Vaswani et al. 2017, arXiv 1706.03762); softmax in float32."""

    heads: int
    dtype: Any

    @nn.compact
    def __call__(self, x):
        batch, length, width = x.shape
        x = Dense(3 * width, dtype=self.dtype, name="qkv")(x)
        query, key, value = jnp.moveaxis(
            x.reshape(batch, length, 3, self.heads, width // self.heads), 2, 0
        )
        scores = jnp.einsum("bqhc,bkhc->bhqk", query, key).astype(jnp.float32)
        scores = scores * (width // self.heads) ** -0.5
        weights = jax.nn.softmax(scores, axis=-1).astype(self.dtype)
        x = jnp.einsum("bhqk,bkhc->bqhc", weights, value)
        x = x.reshape(batch, length, width)
        return Dense(width, dtype=self.dtype, name="proj")(x)


class Perceptron(nn.Module):
    """Dense to 4 x as many channels, gelu, and back."""

    dtype: Any

    @nn.compact
    def __call__(self, x):
        y = Dense(4 * x.shape[-1], dtype=self.dtype, name="fc1")(x)
        return Dense(x.shape[-1], dtype=self.dtype, name="fc2")(gelu(y))


class Block(nn.Module):
    """Attention, then a perceptron of each token; layer norm before both."""

    heads: int
    drop_path: float
    dtype: Any

    @nn.compact
    def __call__(self, x, train: bool):
        def norm(x, name):
            return layer_norm(x, name=name, dtype=self.dtype)

        def drop(y, name):
            return drop_path(y, self.drop_path, train=train, name=name)

        y = Attention(self.heads, self.dtype, name="attn")(norm(x, "norm1"))
        x = x + drop(y, "drop_path1")
        y = Perceptron(self.dtype, name="mlp")(norm(x, "norm2"))
        return x + drop(y, "drop_path2")


class VisionTransformer(nn.Module):
    """Patches, a class token, position embeddings, blocks, layer norm, dense 'head'.

    The embeddings fit the image size that the parameters were made for; pixels right
    and below that fill no patch are not looked at. Features are the patches' tokens
    after each quarter of the blocks as maps, the last of them after the norm.
    width: of a token; heads: of attention.
    pool: 'global' reads the class token, as published; others pool the patches' map.
    drop_path: of the last block (stochastic depth); linear from 0 in the first. The
      paper has none; 0.1 is usual on small sets (Touvron et al. 2021, arXiv
      2012.12877).
    dropout: of the head, see heads.head.
    remat: compute each block again in the backward pass, to save memory.
    """

    num_outputs: int
    dtype: Any = jnp.float32
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    drop_path: float = 0.0
    pool: str = "global"
    dropout: float = 0.0
    remat: bool = False
    style: str = "torch"
    scheme: str = "truncated_normal"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        of_style(STYLES, self.style, "ViT")
        x, grid = self._tokens(images)
        features = {}
        block = rematerialised(Block) if self.remat else Block
        for i in range(self.depth):
            rate = self.drop_path * i / max(1, self.depth - 1)
            x = block(self.heads, rate, self.dtype, name=f"blocks_{i}")(x, train)
            if 4 * (i + 1) % self.depth == 0 and i + 1 < self.depth:
                stage = 4 * (i + 1) // self.depth
                features[f"stage{stage}"] = x[:, 1:].reshape(grid)
        x = layer_norm(x, name="norm", dtype=self.dtype)
        features["stage4"] = x[:, 1:].reshape(grid)
        seen = x[:, :1, None] if self.pool in BY_CLASS else features["stage4"]
        return Output(head_of(self, seen, train, "head"), features)

    def _tokens(self, images):
        """-> tokens [B, 1 + h * w, C] with their positions, the shape of their map."""
        x = Conv(
            self.width,
            size=self.patch,
            stride=self.patch,
            padding="VALID",
            dtype=self.dtype,
            name="patch_embed_proj",
        )(images)
        batch, height, columns, _ = grid = x.shape
        token = self.param(
            "class_token", nn.initializers.zeros, (1, 1, self.width), jnp.float32
        )
        position = self.param(
            "position_embedding",
            undrawn,
            (1, 1 + height * columns, self.width),
            jnp.float32,
        )
        token = jnp.broadcast_to(token.astype(x.dtype), (batch, 1, self.width))
        x = jnp.concatenate([token, x.reshape(batch, -1, self.width)], axis=1)
        return x + position.astype(x.dtype), grid


def vit_s16(num_outputs: int, dtype=jnp.float32, **kwargs) -> VisionTransformer:
    """22,050,664 parameters with 224 px, 3 channels and 1000 outputs."""
    return VisionTransformer(num_outputs, dtype, width=384, heads=6, **kwargs)


def vit_b16(num_outputs: int, dtype=jnp.float32, **kwargs) -> VisionTransformer:
    """86,567,656 parameters with 224 px, 3 channels and 1000 outputs."""
    return VisionTransformer(num_outputs, dtype, **kwargs)
