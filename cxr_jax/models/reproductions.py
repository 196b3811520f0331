"""The networks of the systems that this project replaces, layer by layer.

S2, S3 and S4 flatten their last map, so the parameters fit one image size only. All
report logits; the sigmoid or softmax that ended them belongs to the loss.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cxr_jax.models.layers import (
    Conv,
    Dense,
    DepthwiseConv,
    Output,
    batch_norm,
    dropout,
)
from cxr_jax.models.mobilenet_v1 import MobileNetV1
from cxr_jax.models.pooling import avg_pool, max_pool


def s1_cnn(num_outputs: int, dtype=jnp.float32, **kwargs) -> MobileNetV1:
    """COVID vs non-COVID by transfer, small: 229,585 parameters with one output.

    The source says only that a small CNN with transferred weights is meant to run
    within a hospital. Our choice: the smallest trunk with public ImageNet weights,
    MobileNetV1 with alpha 0.25, averaged, dense 64 with relu, dropout 0.5, dense. Any
    size, 1 or 3 channels; 5,472 running statistics besides.
    """
    kwargs = {"alpha": 0.25, "hidden": (64,), "dropout": 0.5, **kwargs}
    return MobileNetV1(num_outputs, dtype, **kwargs)


class S2CNN(nn.Module):
    """COVID vs non-COVID on 150 x 150 x 3 with separable convolutions.

    A separable convolution is a depthwise one without bias, then 1 x 1 and relu. The
    source gives no count; a Keras model written after its description has 2,314,337
    parameters with one output, 960 of them running statistics.
    """

    num_outputs: int = 1
    dtype: Any = jnp.float32
    scheme: str = "glorot_uniform"

    @nn.compact
    def __call__(self, images, *, train: bool = False) -> Output:
        x, features = images, {}
        for j in (1, 2):
            x = nn.relu(Conv(16, dtype=self.dtype, name=f"stage1_conv{j}")(x))
        features["stage1"] = x
        x = max_pool(x, size=2, stride=2)
        for i, width in enumerate((32, 64, 128, 256), 2):
            x = features[f"stage{i}"] = self._separable(x, train, i=i, width=width)
            x = max_pool(x, size=2, stride=2)
            if i > 3:
                x = dropout(x, 0.2, train=train, name=f"dropout{i}")
        x = x.reshape(x.shape[0], -1)
        for i, (width, rate) in enumerate(((512, 0.7), (128, 0.5), (64, 0.3)), 1):
            x = nn.relu(Dense(width, dtype=self.dtype, name=f"dense{i}")(x))
            x = dropout(x, rate, train=train, name=f"dense{i}_dropout")
        logits = Dense(self.num_outputs, dtype=jnp.float32, name="dense4")(
            x.astype(jnp.float32)
        )
        return Output(logits, features)

    def _separable(self, x, train: bool, *, i: int, width: int):
        """Two separable convolutions, then batch norm as Keras has it."""
        for j in (1, 2):
            name = f"stage{i}_conv{j}"
            depthwise = DepthwiseConv(
                use_bias=False, dtype=self.dtype, name=f"{name}_depthwise"
            )
            pointwise = Conv(width, size=1, dtype=self.dtype, name=f"{name}_pointwise")
            x = nn.relu(pointwise(depthwise(x)))
        settings = {"momentum": 0.99, "epsilon": 1e-3, "dtype": self.dtype}
        return batch_norm(x, train=train, name=f"stage{i}_bn", **settings)


class S3CNN(nn.Module):
    """COVID vs non-COVID on 256 x 256 x 3: 422,177 parameters with one output.

    The public notebook has no dropout, though its drawing names one after each pooling:
    0.2 is our choice, and `configs/reproductions/s3_cnn.py:as_published` has none.
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
        x = nn.relu(Dense(256, dtype=self.dtype, name="dense1")(x))
        logits = Dense(self.num_outputs, dtype=jnp.float32, name="dense2")(
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
        x = nn.relu(Dense(128, dtype=self.dtype, name="dense1")(x))
        x = dropout(x, self.dropout, train=train, name="dropout5")
        x = norm(x, "dense1_bn")
        logits = Dense(self.num_outputs, dtype=jnp.float32, name="dense2")(
            x.astype(jnp.float32)
        )
        return Output(logits, features)
