"""Named random streams: every draw is a function of (seed, name, step) alone.

No key is ever split in sequence, so adding or removing one consumer of randomness
changes nothing for the others, and step 1000 draws the same numbers whether the run
was resumed or not. Has no side effects: safe inside jit.
"""

import zlib

import jax

from cxr_jax.stats.generator import generator

__all__ = ["generator", "root", "stream"]


def root(seed: int) -> jax.Array:
    """The key from which every stream of a run is derived."""
    return jax.random.key(seed)


def stream(root_key: jax.Array, name: str, step=None) -> jax.Array:
    """The key of stream `name`, at `step` if given (may be traced)."""
    key = jax.random.fold_in(root_key, zlib.crc32(name.encode()))
    return key if step is None else jax.random.fold_in(key, step)
