"""Contrast enhancement as compared by Rahman et al. 2021 (arXiv 2012.02238).

Each `make` returns fn(batch) for images [B, H, W, C] in [0, 1]; histogram equalisation is
`image.equalise`. Every film is treated by itself.
"""

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax.ops.arguments import number, whole

# Of a film in [0, 1], as in Rahman's code: 110 of 255.
_MEAN = 110 / 255


def complement():
    """1 minus the image: what is bright becomes dark."""

    def apply(batch):
        return batch | {"image": 1 - batch["image"]}

    return apply


def gamma(power):
    """The image to a power: below 1 brighter, above 1 darker."""
    power = number("power", power, 0.05, 20)

    def apply(batch):
        return batch | {"image": batch["image"] ** jnp.float32(power)}

    return apply


def bcet():
    """Balance contrast enhancement: a parabola to least 0, greatest 1 and mean 110/255.

    Guo 1991, doi 10.1080/01431169108955241. A film of one grey value stays as it is, as
    does one whose moments no parabola can turn into these.
    """

    def one(image):
        low, high = image.min(), image.max()
        mean, square = image.mean(), (image**2).mean()
        upper = high**2 * _MEAN - square + low**2 * (1 - _MEAN)
        lower = 2 * (high * _MEAN - mean + low * (1 - _MEAN))
        vertex = upper / jnp.where(lower == 0, 1, lower)
        scale = (high - low) * (high + low - 2 * vertex)
        is_possible = (lower != 0) & (scale != 0)
        slope = 1 / jnp.where(is_possible, scale, 1)
        bent = slope * (image - vertex) ** 2 - slope * (low - vertex) ** 2
        return jnp.where(is_possible, jnp.clip(bent, 0, 1), image)

    def apply(batch):
        return batch | {"image": jax.vmap(one)(batch["image"])}

    return apply


def clahe(clip=2.0, tiles=8):
    """Contrast-limited adaptive histogram equalisation, as OpenCV does it for 8 bits.

    Zuiderveld 1994 (Graphics Gems IV, 474-485): in each of tiles x tiles parts the
    histogram of 256 grey levels is cut at `clip` times its mean, what was cut off is
    spread evenly, and the tables of neighbouring parts are blended.
    """
    clip = number("clip", clip, 0.01, 256)
    tiles = whole("tiles", tiles, 1, 64)

    def apply(batch):
        image = batch["image"]
        height, width = image.shape[1:3]
        more = _padding(height, width, tiles)
        sizes = zip((height, width), more, strict=True)
        rows, columns = (_blend(size, size + pad, tiles) for size, pad in sizes)

        def channel(levels):
            tables = _tables(levels, more, tiles, clip)
            mapped = 0.0
            for at_row, of_row in rows:
                for at_column, of_column in columns:
                    found = tables[at_row[:, None], at_column[None, :], levels]
                    mapped += of_row[:, None] * of_column[None, :] * found
            return jnp.round(mapped) / 255

        levels = jnp.round(image * 255).astype(jnp.int32)
        films = jnp.moveaxis(levels, 3, 1)
        found = jax.lax.map(jax.vmap(channel), films)
        return batch | {"image": jnp.moveaxis(found, 1, 3)}

    return apply


def _padding(height: int, width: int, tiles: int) -> tuple[int, int]:
    """Pixels added below and on the right; both, as soon as one side does not divide."""
    if height % tiles == 0 and width % tiles == 0:
        return 0, 0
    return tiles - height % tiles, tiles - width % tiles


def _tables(levels, more: tuple[int, int], tiles: int, clip: float):
    """The grey value of each level in every tile: float [tiles, tiles, 256].

    levels: int [H, W]; mirrored to whole tiles, the border pixel not repeated.
    """
    levels = jnp.pad(levels, [(0, pad) for pad in more], mode="reflect")
    high, wide = (size // tiles for size in levels.shape)
    parts = levels.reshape(tiles, high, tiles, wide).transpose(0, 2, 1, 3)
    parts = parts.reshape(tiles * tiles, high * wide)
    counts = jax.vmap(lambda part: jnp.zeros(256, jnp.int32).at[part].add(1))(parts)
    limit = max(int(clip * high * wide / 256), 1)
    cut = jnp.maximum(counts - limit, 0).sum(axis=1, keepdims=True)
    counts = jnp.minimum(counts, limit) + cut // 256
    # What is left over goes to single levels, evenly from the first on.
    left = cut % 256
    step = jnp.maximum(256 // jnp.maximum(left, 1), 1)
    place = jnp.arange(256)[None]
    counts += (place % step == 0) & (place // step < left)
    scale = np.float32(255) / np.float32(high * wide)
    tables = jnp.clip(jnp.round(jnp.cumsum(counts, axis=1) * scale), 0, 255)
    return tables.reshape(tiles, tiles, 256)


def _blend(size: int, padded: int, tiles: int):
    """Two pairs (tile [size], weight [size]) that each line of pixels is blended from."""
    place = np.arange(size, dtype=np.float32) * np.float32(tiles / padded) - 0.5
    first = np.floor(place).astype(int)
    share = (place - first).astype(np.float32)
    ends = (first, first + 1)
    inside = [np.clip(end, 0, tiles - 1) for end in ends]
    return list(zip(inside, (1 - share, share), strict=True))
