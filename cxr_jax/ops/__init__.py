"""Image operations on the device, on whole batches, written as one string.

`make_preprocess('to_float|resize(256)|affine(rotate=10)|standardise', train=True)`
gives a pure function `(batch, key) -> batch` for use inside `jit`.
"""

from cxr_jax.ops.registry import OPS, make_preprocess

__all__ = ["OPS", "make_preprocess"]
