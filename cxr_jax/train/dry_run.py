"""What a run would be: data, parameters, operations, memory. Nothing is trained."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from cxr_jax import config as config_lib
from cxr_jax import experiment, optim, rng, trees
from cxr_jax.data import cache, roles
from cxr_jax.devices import sharding
from cxr_jax.devices.terminal import say
from cxr_jax.runs import results
from cxr_jax.state import TrainState
from cxr_jax.steps import Settings
from cxr_jax.train import flops, stepper

_KEPT = 3  # checkpoints: the newest two and the best
_TEXTS = 3  # columns of the table of parameters, before those of numbers
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Step(NamedTuple):
    """The compiled train step.

    Attributes:
      flops: of a whole batch, on all devices.
      memory: of each device, in bytes, or None if the backend does not say; of
        jax.stages.Compiled.memory_analysis.
      seconds: that tracing and compiling took; less where the program was in the cache.
    """

    flops: int
    memory: Any
    seconds: float


def show(exp: experiment.Experiment, splits: roles.Splits) -> None:
    """Prints data, parameters, operations, memory and steps of a run, for 100 columns.

    Compiles the train step, which the run then finds in the compilation cache.

    Raises:
      InputError: the pictures do not fit where the config wants to hold them.
    """
    frozen = frozenset(n for n, rate in exp.rates.items() if rate.factor == 0)
    sections = {
        "data": _data(exp, splits),
        "model": _model(exp),
        "": parameter_table(exp.abstract_state, frozen),
        "training": _training(exp, splits),
    }
    _say(sections)
    say("\ncompiling the train step ...")
    step = compile_step(exp, roles.image_dtype(splits.train))
    _say({"compute": _compute(exp, step), "memory": _memory(step), "disk": _disk(exp)})
    say("\na dry run: nothing was trained")


def compile_step(exp: experiment.Experiment, image_dtype: Any) -> Step:
    """Compiles the train step as `feed.from_host` does, for a batch from the host.

    Args:
      exp: of the run.
      image_dtype: of the stored pictures.
    """
    everywhere = sharding.replicated(exp.mesh)
    split = sharding.by_example(exp.mesh)
    number = jax.ShapeDtypeStruct((), np.float32)
    arguments = (
        exp.abstract_state,
        _placed(experiment.abstract_batch(exp.config, exp.task, image_dtype), split),
        _placed(jax.eval_shape(lambda: rng.root(0)), everywhere),
        Settings(number, number, number),
    )
    begin = time.monotonic()
    step = stepper.compiled(exp.train_step, exp.mesh)
    traced = step.trace(*arguments)
    compiled = traced.lower().compile()
    return Step(
        flops=flops.count(traced.jaxpr),
        memory=compiled.memory_analysis(),
        seconds=time.monotonic() - begin,
    )


def _data(exp, splits) -> list[str]:
    config, lines = exp.config.data, results.describe(splits)
    images = splits.train.size + splits.val.size
    dtype = roles.image_dtype(splits.train)
    size = sum(cache.bytes_of(part, config) for part in (splits.train, splits.val))
    place = cache.residency(splits, config)
    where = {
        "device": "train is held on every device, val on the host",
        "host": "held on the host",
        "disk": "not held, but read and decoded again in every epoch",
    }[place]
    lines.append(
        f"{_bytes(size)} decoded: {images:,} images of train and val, "
        f"{config.size}x{config.size} {dtype}"
    )
    return [*lines, f"{where} (data.residency={config.residency})"]


def _model(exp) -> list[str]:
    config = exp.config
    input_ = f"input {_shape((config.batch_size, *exp.image_shape))} float32"
    lines = [f"{config.model.name} in {config.model.dtype}, {input_}"]
    if config.optim.weight_decay:
        params = exp.abstract_state.params
        mask = optim.decay_mask(params, config.optim.no_decay)
        pairs = zip(jax.tree.leaves(params), jax.tree.leaves(mask), strict=True)
        decayed = sum(leaf.size for leaf, decays in pairs if decays)
        lines.append(
            f"weight decay {config.optim.weight_decay:g} on {decayed:,} of "
            f"{trees.size(params):,} parameters"
        )
    return lines


def parameter_table(
    state: TrainState, frozen: frozenset[str] = frozenset()
) -> list[str]:
    """A line for each module that holds arrays, under a head and above the sums.

    The running statistics of a batch norm stand beside its parameters.

    Args:
      state: of arrays or of shapes.
      frozen: names of the parameters that never learn.
    """
    held = _by_module(state.params)
    statistics = _by_module(state.model_state.get("batch_stats", {}))
    rows = [("module", "arrays", "type", "parameters", "statistics")]
    for module in sorted(held.keys() | statistics.keys(), key=_natural):
        arrays, beside = held.get(module, {}), trees.size(statistics.get(module, {}))
        shapes = [
            f"{name} {'x'.join(map(str, leaf.shape))}" for name, leaf in arrays.items()
        ]
        types = sorted({leaf.dtype.name for leaf in arrays.values()})
        counts = (f"{trees.size(arrays):,}", f"{beside:,}" if beside else "")
        rows.append((module, ", ".join(shapes), ", ".join(types), *counts))
    sums = (f"{trees.size(tree):,}" for tree in (state.params, state.model_state))
    learning = sum(
        leaf.size
        for name, leaf in trees.by_name(state.params).items()
        if name not in frozen
    )
    title = f"total, {learning:,} trained" if frozen else "total, all trained"
    rows.append((title, "", "", *sums))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def _by_module(tree: Any) -> dict[str, dict[str, Any]]:
    """{'layer1_0/conv1': {'kernel': leaf}}."""
    found: dict[str, dict[str, Any]] = {}
    for path, leaf in trees.by_name(tree).items():
        module, _, name = path.rpartition("/")
        if not module:  # of the network itself, as a class token
            module, name = path, "array"
        found.setdefault(module, {})[name] = leaf
    return found


def _natural(name: str) -> list[str | int]:
    # 'layer2' before 'layer10'. Texts and numbers take turns.
    parts = re.split(r"(\d+)", name)
    return [int(part) if k % 2 else part for k, part in enumerate(parts)]


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        text.ljust(width) if k < _TEXTS else text.rjust(width)
        for k, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def _training(exp, splits) -> list[str]:
    config, total = exp.config, exp.total_steps
    per_epoch = splits.train.size / config.batch_size
    warmup = config_lib.steps(
        config.optim.warmup,
        key="optim.warmup",
        train_examples=splits.train.size,
        batch_size=config.batch_size,
        total_steps=total,
    )

    def every(steps: int, what: str) -> str:
        # Once more at the end, unless that is one of them.
        interval = f"{steps:,} steps" if steps > 1 else "step"
        return f"{what} every {interval}, {-(-total // steps):,} times"

    epochs = f"{total / per_epoch:,.1f} epochs of {per_epoch:,.1f} steps"
    rate = f"learning rate {config.optim.lr:g}, {config.optim.schedule}"
    lines = [
        f"{total:,} steps of {config.batch_size} images: {epochs}",
        f"{rate}, after a warm-up of {warmup:,} steps",
        every(exp.eval_steps, f"evaluation on {splits.val.size:,} images of val"),
        every(exp.checkpoint_steps, "checkpoint"),
        every(exp.log_steps, "line of the log"),
        f"evaluation on {splits.test.size:,} images of test, once, at the end",
    ]
    if config.accumulate > 1:
        lines.insert(1, f"each batch in {config.accumulate} parts, one after another")
    if config.stop_patience:
        lines.append(
            f"ends early after {config.stop_patience} evaluations that are no better"
        )
    return lines


def _compute(exp, step: Step) -> list[str]:
    state, batch_size = exp.abstract_state, exp.config.batch_size
    image = jax.ShapeDtypeStruct((1, *exp.image_shape), np.float32)
    variables = {"params": state.params, **state.model_state}
    forward = flops.flops(exp.model.apply, variables, image)
    each = step.flops / batch_size
    per_image = f"{_scaled(each)}FLOP per image: {each / forward:.2f} x forward"
    return [
        f"forward     {_scaled(forward)}FLOP per image",
        f"train step  {_scaled(step.flops)}FLOP, {per_image}",
        "in matrix products and convolutions; a multiply-add is two operations",
    ]


def _memory(step: Step) -> list[str]:
    devices, found = jax.devices(), step.memory
    where = f"{len(devices)} x {devices[0].device_kind}"
    lines = [f"of the train step, compiled in {step.seconds:.1f} s for {where}"]
    if found is None:
        return [*lines, "this backend does not say what it needs"]
    new = found.output_size_in_bytes - found.alias_size_in_bytes
    parts = {
        "arguments": (found.argument_size_in_bytes, "state and batch"),
        "outputs": (new, "beside what takes the place of arguments"),
        "temporaries": (found.temp_size_in_bytes, "activations, gradients"),
        "code": (found.generated_code_size_in_bytes, ""),
    }
    total = sum(size for size, _ in parts.values())
    parts["together"] = (total, "on each device; a library called may take more")
    return lines + [
        f"{name:11}  {_bytes(size):>9}  {what}".rstrip()
        for name, (size, what) in parts.items()
        if size  # the CPU does not report its code
    ]


def _disk(exp) -> list[str]:
    leaves = jax.tree.leaves(exp.abstract_state)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    return [
        f"state {_bytes(size)}, a checkpoint at most about that",
        f"the newest two and the best are kept: {_bytes(_KEPT * size)}",
    ]


def _placed(tree: Any, where: jax.sharding.NamedSharding) -> Any:
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), tree
    )


def _say(sections: dict[str, list[str]]) -> None:
    for name, lines in sections.items():
        say("")
        for k, line in enumerate(lines):
            say(f"{name if k == 0 else '':9} {line}" if name else line)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _bytes(size: float) -> str:
    return _scaled(size) + "B"


def _scaled(number: float) -> str:
    """1234567 -> '1.23 M', to be followed by a unit."""
    for scale, prefix in _UNITS:
        if number >= scale:
            return f"{number / scale:.3g} {prefix}"
    return f"{number:.0f} "
