"""The windows that slide over images, and the transpose of taking them apart.

Images are [B, H, W, C].
"""

import jax
import jax.numpy as jnp
from jax import lax


def windows(x, size: int, stride: int) -> dict[tuple[int, int], jax.Array]:
    """{(i, j): pixel (i, j) of every size x size window, [B, h, w, C]}."""
    batch, height, width, channels = x.shape
    rows, columns = ((n - size) // stride * stride + 1 for n in (height, width))
    return {
        (i, j): lax.slice(
            x,
            (0, i, j, 0),
            (batch, i + rows, j + columns, channels),
            (1, stride, stride, 1),
        )
        for i in range(size)
        for j in range(size)
    }


def spread(taps: dict[tuple[int, int], jax.Array], stride: int, shape) -> jax.Array:
    """The transpose of `windows`: every tap added where it came from.

    Pixels whose positions have the same remainder by the stride receive from the same
    taps. They are summed group by group, so that no zeros between them are added.
    """
    batch, height, width, channels = shape
    rows, columns = -(-height // stride), -(-width // stride)

    def group(top, left):
        total = jnp.zeros(
            (batch, rows, columns, channels), next(iter(taps.values())).dtype
        )
        for (i, j), tap in taps.items():
            if (i % stride, j % stride) == (top, left):
                down, right = i // stride, j // stride
                after = rows - down - tap.shape[1], columns - right - tap.shape[2]
                total += jnp.pad(
                    tap, ((0, 0), (down, after[0]), (right, after[1]), (0, 0))
                )
        return total

    groups = [
        jnp.stack([group(top, left) for left in range(stride)], axis=3)
        for top in range(stride)
    ]
    whole = jnp.stack(groups, axis=2)
    whole = whole.reshape(batch, rows * stride, columns * stride, channels)
    return whole[:, :height, :width]
