"""Images per second of one training step, against PyTorch and Keras, side by side.

python -m benchmarks.train_step [--models=...] [--sizes=128,224]; README.md says what
is measured.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks import machine
from cxr_jax.devices import huge_pages
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

MODELS = ("resnet18", "resnet50", "densenet121", "s4_cnn", "mobilenet_v2")
SIDE_OF_S4 = 299  # it flattens its last feature map: one size only
CLASSES = 4
MATRIX = 4096
DTYPES = ("float32", "bfloat16")
# Least seconds of a timing.
_LEAST_SECONDS = 3.0
_KERAS = {
    "resnet50": "ResNet50",
    "densenet121": "DenseNet121",
    "mobilenet_v2": "MobileNetV2",
}

_PACKAGES = (
    "jax",
    "torch",
    "torchvision",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
)


class Case(NamedTuple):
    """What is trained: model, side of the images, batch size, number type."""

    model: str
    side: int
    batch_size: int
    dtype: str

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns noise, uint8 [B, side, side, 1], and labels, int32 [B]."""
        generator = np.random.default_rng(0)
        shape = (self.batch_size, self.side, self.side, 1)
        images = generator.integers(0, 256, shape, dtype=np.uint8)
        return images, generator.integers(0, CLASSES, self.batch_size, dtype=np.int32)


class Missing(Exception):
    """The framework does not have the model."""


def ours(case: Case):
    """The step of `cxr_jax.train.loop`, jitted in the same way."""
    import jax

    from cxr_jax import experiment, rng
    from cxr_jax.devices import sharding
    from cxr_jax.steps import Settings
    from cxr_jax.train import flops, stepper

    exp = experiment.build(
        our_config(case), train_examples=case.batch_size, image_dtype=np.uint8
    )
    step = stepper.compiled(exp.train_step, exp.mesh)
    images, labels = case.batch()
    batch = sharding.put({"image": images, "label": labels}, exp.mesh)
    everywhere = sharding.replicated(exp.mesh)
    state, root = jax.device_put((exp.init(), rng.root(0)), everywhere)
    settings = Settings(*map(np.float32, (1e-3, 0.0, 1.0)))
    operations = flops.flops(exp.train_step, state, batch, root, settings)

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state, metrics = step(state, batch, root, settings)
        jax.block_until_ready(metrics)

    device = jax.devices()[0].device_kind
    return run, {"flops": operations, "device": device}


def our_config(case: Case):
    """configs/common.py with plain Adam, without augmentation that only we would do."""
    from ml_collections import ConfigDict

    from configs import common

    config = common.get_config(case.side)
    config.batch_size = case.batch_size
    config.total = "1000 steps"
    config.data.size = case.side
    classes = tuple(f"class {k}" for k in range(CLASSES))
    common.use_task(config, "classify", "cross_entropy", classes=classes)
    config.model.name, config.model.dtype = case.model, case.dtype
    if case.model == "s4_cnn":
        config.model = ConfigDict({"name": case.model, "dtype": case.dtype})
    config.preprocess.train = config.preprocess.eval = "to_float|standardise"
    config.optim.weight_decay = config.optim.clip_norm = 0.0
    return config.lock()


def torch_eager(case: Case):
    return _torch(case, compiled=False)


def torch_compile(case: Case):
    return _torch(case, compiled=True)


def _torch(case: Case, *, compiled: bool):
    from benchmarks import torch_models

    images, labels = case.batch()
    settings = {"outputs": CLASSES, "dtype": case.dtype, "compiled": compiled}
    run = torch_models.trainer(case.model, images, labels, **settings)
    return run, {"threads": torch_models.torch.get_num_threads()}


def keras(case: Case):
    """keras.applications on TensorFlow, through train_on_batch."""
    if case.model not in _KERAS:
        raise Missing("not in keras.applications")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    if case.dtype == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    shape = (case.side, case.side, 1)
    inputs = keras.Input(shape, dtype="uint8")
    x = keras.ops.cast(inputs, "float32") / 255.0
    x = x - keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)
    spread = keras.ops.sqrt(
        keras.ops.mean(keras.ops.square(x), axis=(1, 2, 3), keepdims=True)
    )
    x = x / keras.ops.maximum(spread, 1e-4)
    network = getattr(keras.applications, _KERAS[case.model])(
        weights=None, input_shape=shape, classes=CLASSES, classifier_activation=None
    )
    model = keras.Model(inputs, network(x))
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = case.batch()

    def run(steps: int) -> None:
        for _ in range(steps):
            model.train_on_batch(images, labels)

    return run, {}


def jax_matmul(case: Case):
    import jax
    import jax.numpy as jnp

    matrix = jnp.full((MATRIX, MATRIX), 1 / MATRIX, case.dtype)
    multiply = jax.jit(jnp.matmul)

    def run(times: int) -> None:
        product = matrix
        for _ in range(times):
            product = multiply(matrix, product)
        product.block_until_ready()

    return run, {}


def torch_matmul(case: Case):
    from benchmarks import torch_models

    return torch_models.multiplier(MATRIX, case.dtype), {}


TRAINERS = (ours, torch_eager, torch_compile, keras)
MATMULS = (jax_matmul, torch_matmul)


class Runner:
    """A trainer in its own process, which is idle between timings.

    Attributes:
      facts: what it reports; `problem` if it cannot run, else `first`, the seconds from
        the built model to the end of the first step.
    """

    def __init__(self, trainer, case: Case):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, trainer, case))
        with _as_started(trainer):
            self._process.start()
        theirs.close()
        try:
            self.facts = self._pipe.recv()
        except EOFError:
            self.facts = {"problem": "failed: its process ended; see above"}

    def seconds(self) -> float:
        """Returns the seconds of a step in the next timed run."""
        self._pipe.send("go")
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


@contextlib.contextmanager
def _as_started(trainer) -> Iterator[None]:
    """Our commands start themselves with huge pages, where nobody set the variable."""
    if trainer is not ours or not huge_pages.can_help():
        yield
        return
    os.environ[huge_pages.NAME] = huge_pages.VALUE
    try:
        yield
    finally:
        del os.environ[huge_pages.NAME]


def _serve(pipe, trainer, case: Case) -> None:
    # Several frameworks share one GPU: none may take all of its memory. A compilation
    # cache would hide the cost of the first step.
    os.environ.update(
        XLA_PYTHON_CLIENT_PREALLOCATE="false",
        TF_FORCE_GPU_ALLOW_GROWTH="true",
        TF_CPP_MIN_LOG_LEVEL="3",
        JAX_ENABLE_COMPILATION_CACHE="false",
        TORCHINDUCTOR_FORCE_DISABLE_CACHES="1",
    )
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    try:
        run, facts = trainer(case)
        first, second = seconds(run, 1), seconds(run, 1)
    except ModuleNotFoundError as error:
        pipe.send({"problem": f"{error.name} is not installed"})
        return
    except Missing as error:
        pipe.send({"problem": str(error)})
        return
    pipe.send({"first": first, **facts})
    steps = max(1, round(_LEAST_SECONDS / second))
    try:
        while pipe.recv():
            run(1)  # warm-up: threads and memory were idle while others ran
            pipe.send(seconds(run, steps))
    except EOFError:
        return


def seconds(run, steps: int) -> float:
    """Returns the seconds per step."""
    start = time.perf_counter()
    run(steps)
    return (time.perf_counter() - start) / steps


def measure(case: Case, trainers, *, repeats: int) -> dict[str, tuple[dict, list]]:
    """Returns {trainer: (facts, seconds of steps)}, in turns; none with a problem."""
    runners = {t.__name__: Runner(t, case) for t in trainers}
    found = {name: (runner.facts, []) for name, runner in runners.items()}
    running = [name for name in runners if "problem" not in found[name][0]]
    for turn in range(repeats):
        first = turn % max(len(running), 1)
        for name in running[first:] + running[:first]:
            found[name][1].append(runners[name].seconds())
    for runner in runners.values():
        runner.close()
    return found


def table(case: Case, found: dict[str, tuple[dict, list]]) -> list[str]:
    """Formats images/s, ratio to torch_eager, GFLOP/s and the first step."""
    eager = found.get("torch_eager", ({}, []))[1]
    operations = found.get("ours", ({}, []))[0].get("flops")
    lines = []
    for name, (facts, times) in found.items():
        if "problem" in facts:
            lines.append(f"  {name:14} {facts['problem']}")
            continue
        rates = sorted(case.batch_size / each for each in times)
        middle = statistics.median(times)
        ratio = f"{statistics.median(eager) / middle:5.2f}" if eager else "    -"
        speed = f"{operations / middle / 1e9:9,.0f}" if operations else f"{'-':>9}"
        lines.append(
            f"  {name:14} {statistics.median(rates):8,.1f}  {rates[0]:8,.1f} .. "
            f"{rates[-1]:8,.1f}  n={len(rates)}  {ratio}  {speed}  {facts['first']:8.1f}"
        )
    return lines


def peak(found: dict[str, tuple[dict, list]]) -> float | None:
    """Returns median GFLOP/s of the fastest matrix product; None if none ran."""
    middles = [statistics.median(times) for _, times in found.values() if times]
    return 2 * MATRIX**3 / min(middles) / 1e9 if middles else None


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(argv[1], "an argument", "use flags only: see --help")
    values = flags.FLAGS
    for name in values.models:
        if name not in MODELS:
            raise InputError(
                "--models", f"{name!r} is unknown", f"there are: {', '.join(MODELS)}"
            )
    try:
        sizes = [int(size) for size in values.sizes]
    except ValueError:
        raise InputError(
            "--sizes", f"{','.join(values.sizes)!r}", "give pixels, as 128,224"
        ) from None
    if min(sizes, default=0) < 32 or values.batch_size < 1 or values.repeats < 1:
        raise InputError(
            "--sizes, --batch_size or --repeats",
            "is too small",
            "give at least 32 pixels, 1 image and 1 timing",
        )
    known = {trainer.__name__: trainer for trainer in TRAINERS}
    for name in values.trainers:
        if name not in known:
            raise InputError(
                "--trainers", f"{name!r} is unknown", f"there are: {', '.join(known)}"
            )
    # Ours counts the operations of a step.
    chosen = [known[name] for name in dict.fromkeys(["ours", *values.trainers])]
    print(machine.describe(*_PACKAGES), flush=True)
    for name in values.models:
        for side in [SIDE_OF_S4] if name == "s4_cnn" else sizes:
            case = Case(name, side, values.batch_size, values.dtype)
            found = measure(case, (*chosen, *MATMULS), repeats=values.repeats)
            matmuls = {t.__name__: found.pop(t.__name__) for t in MATMULS}
            print(f"\n{_heading(case, found, peak(matmuls))}")
            print("\n".join(table(case, found)), flush=True)


def _heading(case: Case, found, limit: float | None) -> str:
    facts = found["ours"][0]
    title = f"{case.model} {case.side} px, batch {case.batch_size}, {case.dtype}"
    device = facts.get("device", "an unknown device")
    columns = "images/s, median, min .. max, n, ratio to torch_eager, GFLOP/s, "
    columns += "seconds to the end of the first step"
    lines = [f"{title}, on {device}", f"  {columns}"]
    if limit and "flops" in facts:
        most = case.batch_size * limit * 1e9 / facts["flops"]
        lines.append(
            f"  {facts['flops'] / 1e9:,.0f} GFLOP a step; matrix products reach "
            f"{limit:,.0f} GFLOP/s: {most:,.1f} images/s is the arithmetic floor"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    flags.DEFINE_list("models", list(MODELS), f"some of: {', '.join(MODELS)}")
    flags.DEFINE_list(
        "trainers",
        [trainer.__name__ for trainer in TRAINERS],
        "some of them; ours is always timed",
    )
    flags.DEFINE_list("sizes", ["128", "224"], "sides of the images in pixels")
    flags.DEFINE_integer("repeats", 5, "timings of each, in turns")
    flags.DEFINE_integer("batch_size", 32, "images per step")
    flags.DEFINE_enum("dtype", "float32", DTYPES, "number type of the computation")
    command.run(main)
