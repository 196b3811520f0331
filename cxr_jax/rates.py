"""How fast each layer learns: frozen, slower than the rest, or from some step on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from cxr_jax import trees
from cxr_jax.models.layers import BatchNorm
from tfds_builders.common.errors import InputError

_FORM = re.compile(r"(?P<names>.+?): *(?P<factor>[0-9.eE+-]+)( +from +(?P<start>.+))?")


class Rate(NamedTuple):
    """Of one parameter: `factor` on the learning rate from step `start`, before it 0."""

    factor: float = 1.0
    start: int = 0


def parse(
    layers: tuple[str, ...], params: Any, steps: Callable[[str], int]
) -> dict[str, Rate]:
    """{name of a parameter: Rate}, the first entry that fits a name deciding.

    Args:
      layers: `config.optim.layers`: 'regex: factor' or 'regex: factor from 3 epochs',
        the regular expression being sought in names such as 'layer1_0/conv1/kernel'.
      params: of the model; shapes are enough.
      steps: duration -> number of steps.

    Raises:
      InputError: an entry of another form, or one that fits no parameter.
    """
    entries = [_entry(text, steps) for text in layers]
    rates, used = {}, set()
    for name in trees.by_name(params):
        fitting = [i for i, (names, _) in enumerate(entries) if names.search(name)]
        used.update(fitting)
        rates[name] = entries[fitting[0]][1] if fitting else Rate()
    for i, text in enumerate(layers):
        if i not in used:
            raise InputError(
                "config.optim.layers",
                f"{text!r} fits no parameter",
                "see --dry_run for the names there are",
            )
    if all(rate.factor == 0 for rate in rates.values()):
        raise InputError(
            "config.optim.layers", "freezes everything", "leave some layer to learn"
        )
    return rates


def _entry(text: str, steps: Callable[[str], int]) -> tuple[re.Pattern, Rate]:
    match = _FORM.fullmatch(text)
    try:
        if not match:
            raise ValueError("no such form")
        names, factor = re.compile(match["names"]), float(match["factor"])
        if not 0 <= factor < float("inf"):
            raise ValueError("a factor is 0 or more")
    except (ValueError, re.error) as error:
        raise InputError(
            "config.optim.layers",
            f"{text!r} cannot be read ({error})",
            "write 'regex: factor' or 'regex: factor from 3 epochs', as '^layer1: 0'",
        ) from None
    return names, Rate(factor, steps(match["start"]) if match["start"] else 0)


def frozen_stopped(params: Any, rates: dict[str, Rate]) -> Any:
    """The same, without a gradient for what never learns: its way back is left out."""
    leaves = trees.by_name(params).items()
    stopped = [
        lax.stop_gradient(leaf) if rates[name].factor == 0 else leaf
        for name, leaf in leaves
    ]
    return jax.tree.unflatten(jax.tree.structure(params), stopped)


def asleep_zeroed(grads: Any, rates: dict[str, Rate], step: jax.Array) -> Any:
    """Gradients, 0 where a layer does not learn yet: clipping must not count them."""
    awake = [
        jnp.where(step >= rates[name].start, leaf, 0.0) if rates[name].start else leaf
        for name, leaf in trees.by_name(grads).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(grads), awake)


def factors(rates: dict[str, Rate], step: jax.Array) -> list[Any]:
    """Of every leaf in its order, at this step."""
    return [
        jnp.where(step >= rate.start, rate.factor, 0.0) if rate.start else rate.factor
        for rate in rates.values()
    ]


def frozen_norms(rates: dict[str, Rate], also: str):
    """A context in which batch norms use their running statistics in training too.

    Of layers that never learn, since a frozen layer has to stay the function it was;
    and of those whose path the regular expression `also` finds.
    """
    pattern = re.compile(also) if also else None

    def call(next_function, args, kwargs, context):
        module = context.module
        if not isinstance(module, BatchNorm) or context.method_name != "__call__":
            return next_function(*args, **kwargs)
        path = "/".join(module.path)
        scale = rates.get(f"{path}/scale", Rate())
        if scale.factor == 0 or (pattern and pattern.search(path)):
            return next_function(args[0], False)
        return next_function(*args, **kwargs)

    return nn.intercept_methods(call)
