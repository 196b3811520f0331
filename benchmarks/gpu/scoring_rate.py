"""Films a second: scores of pictures on the device, features of pictures on the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.training_steps import batch, seconds


def ours(sizes: Sizes, dtype: str, features: bool) -> Iterator[Any]:
    """Facts, then seconds of a film.

    Args:
      features: those of the last map, averaged, from pictures on the host to arrays on
        the host, as the gate and the audit of a model read them; else the scores of a
        batch that is on the device.
    """
    import jax
    import jax.numpy as jnp

    from benchmarks.gpu import ours as ours_lib

    size = sizes.loop_batch
    made = ours_lib.setup(sizes.loop_model, dtype, sizes.side, size)
    variables = jax.device_put(made.variables())
    images, _ = batch(sizes.side, size)

    @jax.jit
    def pooled(variables, images):
        fed = made.preprocess({"image": images}, None)["image"]
        output = made.model.apply(variables, fed)
        return list(output.features.values())[-1].astype(jnp.float32).mean((1, 2))

    predict, on_device = jax.jit(made.predict_step), jax.device_put(images)

    def run(times: int) -> None:
        last = None
        for _ in range(times):
            if features:  # the next is sent off before the last is fetched
                found = pooled(variables, images)
                if last is not None:
                    np.asarray(last)
                last = found
            else:
                last = predict(variables, {"image": on_device})
        jax.device_get(last)

    yield {"batch": size, "device": jax.devices()[0].device_kind}
    while True:
        yield seconds(run, sizes.seconds) / size


def torch(sizes: Sizes, dtype: str, features: bool, *, compiled: bool) -> Iterator[Any]:
    """The same of PyTorch in eval mode, channels-last; bfloat16 is autocast."""
    from benchmarks import torch_models

    if sizes.loop_model not in torch_models.MODELS:
        raise ModuleNotFoundError(name=f"{sizes.loop_model} in torchvision")
    size = sizes.loop_batch
    images, _ = batch(sizes.side, size)
    run = torch_models.scorer(
        sizes.loop_model,
        images,
        outputs=4,
        dtype=dtype,
        compiled=compiled,
        features=features,
    )
    yield {"batch": size}
    while True:
        yield seconds(run, sizes.seconds) / size
