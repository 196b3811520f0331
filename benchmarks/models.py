"""Every model: parameters, operations per image, images per second.

    python -m benchmarks.models [--models=resnet18,vit_s16] [--side=224]

Prints the rows of docs/models.md, which says what is measured. Models run one after
another, each in its own process.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import statistics
import time
from functools import partial
from typing import NamedTuple

from absl import flags

from benchmarks import machine
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

OUTPUTS = 1000
OPERATIONS_SIDE = 224
OUTPUTS_OF = {"s1_cnn": 1}
# Models that flatten their last feature map: one size only, and their own outputs.
FIXED = {"s2_cnn": (150, 150, 3), "s3_cnn": (256, 256, 3), "s4_cnn": (299, 299, 1)}
# Least seconds of a timing: a forward pass of a small model takes 5 ms.
SHORTEST = 0.7
# Models for tasks other than image classification.
OTHERS = ("bsnet",)


class Row(NamedTuple):
    """The facts about a model.

    Attributes:
      parameters, statistics: with OUTPUTS outputs (FIXED: their own) and 3 channels.
      operations: of one image in the forward pass, at 224 px; a multiply-add is two.
      seconds: {'infer', 'train'} -> seconds per batch, one for each timing.
      first: {'infer', 'train'} -> seconds to compile and run the first batch.
    """

    name: str
    shape: tuple[int, int, int]
    parameters: int
    statistics: int
    operations: int
    seconds: dict[str, list[float]]
    first: dict[str, float]


def measure(name: str, side: int, batch_size: int, repeats: int) -> Row:
    """Measures a model; to be called in a fresh process."""
    import jax

    from cxr_jax.models import MODELS, init

    shape = FIXED.get(name, (side, side, 3))
    counted = FIXED.get(name, (OPERATIONS_SIDE, OPERATIONS_SIDE, 3))
    model = (
        MODELS[name]() if name in FIXED else MODELS[name](OUTPUTS_OF.get(name, OUTPUTS))
    )
    variables = init.abstract_variables(model, counted)
    params = variables.pop("params")
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (params, variables)
    ]
    timed, first = {}, {}
    if repeats:
        for title, make in (("infer", inference), ("train", training)):
            run = make(model, shape, batch_size)
            first[title] = seconds(run)
            calls = max(1, round(SHORTEST / max(seconds(run), 1e-6)))
            timed[title] = [seconds(run, calls) for _ in range(repeats)]
    return Row(name, shape, *sizes, operations(model, counted), timed, first)


def operations(model, shape: tuple[int, int, int]) -> int:
    """Operations per image: products and convolutions."""
    import jax
    import jax.numpy as jnp

    from cxr_jax.models import init
    from cxr_jax.train import flops

    variables = init.abstract_variables(model, shape)
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return flops.flops(partial(model.apply, train=False), variables, images)


def inference(model, shape, batch_size: int):
    """Returns run(), which computes the logits of a batch of noise."""
    import jax

    from cxr_jax.models import init

    params, state = init.initialise(model, shape, seed=0)
    variables = jax.device_put({"params": params, **state})
    images = jax.device_put(_images(shape, batch_size))
    apply = jax.jit(lambda variables, images: model.apply(variables, images).logits)
    return lambda: apply(variables, images).block_until_ready()


def training(model, shape, batch_size: int):
    """Returns run(), which takes one Adam step on random labels."""
    import jax
    import jax.numpy as jnp
    import optax

    from cxr_jax import rng
    from cxr_jax.models import init

    params, model_state = init.initialise(model, shape, seed=0)
    tx = optax.adam(1e-3)
    images = jax.device_put(_images(shape, batch_size))

    def loss(params, model_state, key):
        output, updated = model.apply(
            {"params": params, **model_state},
            images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        labels = jnp.arange(batch_size) % output.logits.shape[1]
        if output.logits.shape[1] == 1:
            rows = optax.sigmoid_binary_cross_entropy(output.logits[:, 0], labels % 2)
        else:
            rows = optax.softmax_cross_entropy_with_integer_labels(
                output.logits, labels
            )
        return rows.mean(), updated

    def step(params, model_state, opt_state, key):
        gradient, updated = jax.grad(loss, has_aux=True)(params, model_state, key)
        updates, opt_state = tx.update(gradient, opt_state)
        return optax.apply_updates(params, updates), updated, opt_state

    jitted = jax.jit(step, donate_argnums=(0, 1, 2))
    held = jax.device_put((params, model_state, tx.init(params)))
    key = rng.stream(rng.root(0), "dropout")

    def run():
        nonlocal held
        held = jax.block_until_ready(jitted(*held, key))

    return run


def _images(shape, batch_size: int):
    import numpy as np

    from cxr_jax import rng

    generator = rng.generator(0, "images")
    return generator.normal(size=(batch_size, *shape)).astype(np.float32)


def seconds(run, calls: int = 1) -> float:
    """Returns the mean seconds of a call."""
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def line(row: Row, batch_size: int) -> str:
    """Formats a row of the table in Markdown."""
    total = f"{row.parameters:,}"
    if row.statistics:
        total += f" + {row.statistics:,}"
    cells = [
        f"`{row.name}`",
        " x ".join(map(str, row.shape)),
        total,
        f"{row.operations / 1e9:.2f}",
    ]
    for title in ("infer", "train"):
        times = row.seconds.get(title)
        rate = batch_size / statistics.median(times) if times else None
        cells.append("-" if rate is None else f"{rate:.1f}")
    cells.append(f"{row.first['train']:.0f}" if row.first else "-")
    return f"| {' | '.join(cells)} |"


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    from cxr_jax.models import MODELS

    values = flags.FLAGS
    names = values.models or [name for name in MODELS if name not in OTHERS]
    for name in names:
        if name not in MODELS or name in OTHERS:
            known = ", ".join(name for name in MODELS if name not in OTHERS)
            raise InputError("--models", f"{name!r} is unknown", f"there are: {known}")
    if values.side < 64 or values.batch_size < 1 or values.repeats < 0:
        raise InputError(
            "--side, --batch_size or --repeats",
            "is too small",
            "give at least 64 pixels, 1 image and 0 timings",
        )
    print(machine.describe("jax", "flax", "optax"), flush=True)
    print(f"batch {values.batch_size}, float32, n={values.repeats}, median")
    print(
        "| model | image | parameters (+ statistics) | GFLOP | infer images/s | "
        "train images/s | first step s |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    # A compilation cache would hide the cost of the first step.
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    context = multiprocessing.get_context("spawn")
    for name in names:
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            arguments = (name, values.side, values.batch_size, values.repeats)
            row = pool.submit(measure, *arguments).result()
        print(line(row, values.batch_size), flush=True)


if __name__ == "__main__":
    flags.DEFINE_list("models", [], "names of cxr_jax.models.MODELS; default: all")
    flags.DEFINE_integer("side", 128, "side of the timed images in pixels")
    flags.DEFINE_integer("batch_size", 8, "images per batch")
    flags.DEFINE_integer("repeats", 3, "timings of each; 0 only counts operations")
    command.run(main)
