"""Two published Keras networks, rebuilt layer by layer to the exact parameter count.

Both flatten their last map, so the parameters fit one image size only. Both report
logits; the sigmoid or softmax that ended them belongs to the loss.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.layers import (
    Conv,
    Output,
    avg_pool,
    batch_norm,
    dropout,
    max_pool,
)


class S3CNN(nn.Module):
    """COVID vs non-COVID on 256 x 256 x 3: 422,177 parameters with one output.

    The source names dropout after each pooling but no rate: 0.2 is our choice.
    """

    num_outputs: int = 1
    dtype: Any = jnp.float32
    dropout: float = 0.2
    scheme: str = "glorot_uniform"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        x, features = images, {}
        for i, width in enumerate((64, 32), 1):
            x = Conv(
                width, stride=3, padding="VALID", dtype=self.dtype, name=f"conv{i}"
            )(x)
            x = nn.relu(x)
            features[f"stage{i}"] = x
            x = max_pool(x, size=2, stride=2)
            x = dropout(x, self.dropout, train=train, name=f"dropout{i}")
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(256, dtype=self.dtype, name="dense1")(x))
        logits = nn.Dense(self.num_outputs, dtype=jnp.float32, name="dense2")(
            x.astype(jnp.float32)
        )
        return Output(logits, features)


class S4CNN(nn.Module):
    """Four-class Radiography CNN on 299 x 299 x 1: 2,943,428 parameters.

    2,900,868 of them are trained; the rest are batch norm's running statistics.
    Every convolution is followed by relu, then batch norm (momentum 0.99, epsilon
    1e-3, the Keras defaults); `stage` features are taken before each pooling.
    """

    num_outputs: int = 4
    dtype: Any = jnp.float32
    dropout: float = 0.25
    scheme: str = "glorot_uniform"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        def norm(x, name):
            return batch_norm(
                x,
                train=train,
                name=name,
                dtype=self.dtype,
                momentum=0.99,
                epsilon=1e-3,
            )

        x, features = images, {}
        for i, widths in enumerate(((32, 64), (64, 64), (64,), (64, 64)), 1):
            for j, width in enumerate(widths, 1):
                x = Conv(width, dtype=self.dtype, name=f"stage{i}_conv{j}")(x)
                x = norm(nn.relu(x), f"stage{i}_bn{j}")
            features[f"stage{i}"] = x
            x = avg_pool(x, size=2)
            x = dropout(x, self.dropout, train=train, name=f"dropout{i}")
        x = norm(x.reshape(x.shape[0], -1), "flat_bn")
        x = nn.relu(nn.Dense(128, dtype=self.dtype, name="dense1")(x))
        x = dropout(x, self.dropout, train=train, name="dropout5")
        x = norm(x, "dense1_bn")
        logits = nn.Dense(self.num_outputs, dtype=jnp.float32, name="dense2")(
            x.astype(jnp.float32)
        )
        return Output(logits, features)
