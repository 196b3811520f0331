"""The optimiser of a config: chain, schedule, and how fast each layer learns.

Layers may be frozen, learn more slowly than the rest, or start at a later step.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax

from cxr_jax import trees
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

# Each returns the direction of the update, uphill; `descend` takes the step.
OPTIMISERS = {
    "sgd": optax.trace,
    "adam": optax.scale_by_adam,
    "rmsprop": optax.scale_by_rms,
    "lion": optax.scale_by_lion,
    # As in PyTorch: see COUPLED.
    "torch_sgd": optax.trace,
    "torch_adam": optax.scale_by_adam,
    "torch_rmsprop": optax.scale_by_rms,
}

# {optimiser: defaults of its settings where optax has others, or none}.
_DEFAULTS = {
    "sgd": {"decay": 0.9},
    "torch_sgd": {"decay": 0.0},
    "torch_rmsprop": {"decay": 0.99, "eps_in_sqrt": False},
}

# Their weight decay is added to the gradient, after clipping, and so passes through
# momentum and scaling: torch.optim of PyTorch 2. That of the others is decoupled.
COUPLED = ("torch_sgd", "torch_adam", "torch_rmsprop")

SCHEDULES = ("constant", "cosine", "linear")
_FORM = re.compile(r"(?P<names>.+?): *(?P<factor>[0-9.eE+-]+)( +from +(?P<start>.+))?")


def make_schedule(config: ConfigDict, *, warmup_steps: int, total_steps: int):
    """Returns step -> learning rate: linear warm-up, then the schedule of the config."""
    after = max(total_steps - warmup_steps, 1)
    if config.schedule == "constant":
        main = optax.constant_schedule(config.lr)
    elif config.schedule == "cosine":
        main = optax.cosine_decay_schedule(config.lr, after)
    elif config.schedule == "linear":
        main = optax.linear_schedule(config.lr, 0.0, after)
    else:
        raise InputError(
            "config.optim.schedule",
            f"is {config.schedule!r}, which is unknown",
            f"choose one of: {', '.join(SCHEDULES)}",
        )
    if not warmup_steps:
        return main
    warmup = optax.linear_schedule(config.lr / warmup_steps, config.lr, warmup_steps)
    return optax.join_schedules([warmup, main], [warmup_steps])


def make_optimiser(config: ConfigDict) -> optax.GradientTransformation:
    """Clips by global norm, then runs the optimiser: the direction for `descend`.

    Args:
      config: `config.optim`; `settings` go to the optimiser as keyword arguments.

    Its `update` takes `weight_decay` as a keyword, which those of COUPLED use.
    """
    if config.name not in OPTIMISERS:
        raise InputError(
            "config.optim.name",
            f"is {config.name!r}, which is unknown",
            f"choose one of: {', '.join(OPTIMISERS)} (adam with weight_decay is AdamW)",
        )
    settings = {key: config.settings[key] for key in config.settings}
    settings = _DEFAULTS.get(config.name, {}) | settings
    try:
        direction = OPTIMISERS[config.name](**settings)
    except TypeError as error:
        raise InputError(
            "config.optim.settings",
            f"{settings} does not fit {config.name} ({error})",
            "see the optax documentation of that optimiser for its settings",
        ) from None
    parts = [direction]
    if config.name in COUPLED:
        parts.insert(0, _coupled_decay(config.no_decay))
    if config.clip_norm:
        parts.insert(0, optax.clip_by_global_norm(config.clip_norm))
    whole = optax.chain(*parts) if len(parts) > 1 else direction
    return optax.with_extra_args_support(whole)


def _coupled_decay(no_decay: str) -> optax.GradientTransformationExtraArgs:
    """gradient + weight_decay * parameter, of the parameters of `decay_mask`."""

    def update(updates, state, params=None, **settings: Any):
        weight_decay = settings.get("weight_decay", 0.0)
        mask = decay_mask(params, no_decay)
        added = jax.tree.map(
            lambda grad, param, decays: grad + weight_decay * param if decays else grad,
            updates,
            params,
            mask,
        )
        return added, state

    return optax.GradientTransformationExtraArgs(
        lambda params: optax.EmptyState(), update
    )


def undecayed(config: ConfigDict) -> str:
    """The regular expression of what `descend` does not decay; '.' is everything."""
    return "." if config.name in COUPLED else config.no_decay


def descend(
    params: Any, direction: Any, settings: Any, no_decay: str, factors: list[Any]
) -> Any:
    """params - lr * factor * (direction + weight_decay * params): decoupled decay.

    Loshchilov and Hutter 2019, arXiv 1711.05101. Rate and decay are arguments of every
    step, not of optax, because members that train side by side have their own.

    Args:
      params, direction: of one structure; the direction is from `make_optimiser`.
      settings: `steps.Settings`.
      no_decay: see `decay_mask`.
      factors: on the learning rate, of every leaf; a plain 0 leaves it untouched.
    """

    def new(param, toward, decays, factor):
        if isinstance(factor, float) and factor == 0:
            return param
        if decays:
            toward = toward + settings.weight_decay * param
        return param - settings.lr * factor * toward

    factors = jax.tree.unflatten(jax.tree.structure(params), factors)
    return jax.tree.map(new, params, direction, decay_mask(params, no_decay), factors)


def decay_mask(params: Any, no_decay: str) -> Any:
    """True for the leaves whose names do not match the regular expression."""
    pattern = re.compile(no_decay) if no_decay else None
    return jax.tree.map(
        lambda name: not (pattern and pattern.search(name)), trees.names(params)
    )


class Rate(NamedTuple):
    """The learning rate factor of one parameter from step `start`; 0 before."""

    factor: float = 1.0
    start: int = 0


def layer_rates(
    layers: tuple[str, ...], params: Any, steps: Callable[[str], int]
) -> dict[str, Rate]:
    """Returns {name of a parameter: Rate}; the first matching entry decides.

    Args:
      layers: `config.optim.layers`: 'regex: factor' or 'regex: factor from 3 epochs',
        where the regular expression is searched in names as 'layer1_0/conv1/kernel'.
      params: of the model, or their shapes.
      steps: duration -> number of steps.

    Raises:
      InputError: an entry is malformed or matches no parameter.
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
                f"{text!r} matches no parameter",
                "--dry_run lists the names",
            )
    if all(rate.factor == 0 for rate in rates.values()):
        raise InputError(
            "config.optim.layers", "freezes every layer", "leave at least one trainable"
        )
    return rates


def _entry(text: str, steps: Callable[[str], int]) -> tuple[re.Pattern, Rate]:
    match = _FORM.fullmatch(text)
    try:
        if not match:
            raise ValueError("unknown form")
        names, factor = re.compile(match["names"]), float(match["factor"])
        if not 0 <= factor < float("inf"):
            raise ValueError("a factor cannot be negative or infinite")
    except (ValueError, re.error) as error:
        raise InputError(
            "config.optim.layers",
            f"{text!r} cannot be read ({error})",
            "write 'regex: factor' or 'regex: factor from 3 epochs', as '^layer1: 0'",
        ) from None
    return names, Rate(factor, steps(match["start"]) if match["start"] else 0)


def frozen_stopped(params: Any, rates: dict[str, Rate]) -> Any:
    """Returns params without gradient or backward pass for those that never learn."""
    leaves = trees.by_name(params).items()
    stopped = [
        lax.stop_gradient(leaf) if rates[name].factor == 0 else leaf
        for name, leaf in leaves
    ]
    return jax.tree.unflatten(jax.tree.structure(params), stopped)


def asleep_zeroed(grads: Any, rates: dict[str, Rate], step: jax.Array) -> Any:
    """Gradients, 0 for layers that do not learn yet: clipping must ignore them."""
    awake = [
        jnp.where(step >= rates[name].start, leaf, 0.0) if rates[name].start else leaf
        for name, leaf in trees.by_name(grads).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(grads), awake)


def rate_factors(rates: dict[str, Rate], step: jax.Array) -> list[Any]:
    """The factors of all parameters at this step, in the order of the leaves."""
    return [
        jnp.where(step >= rate.start, rate.factor, 0.0) if rate.start else rate.factor
        for rate in rates.values()
    ]


def frozen_norms(rates: dict[str, Rate], also: str, unbiased: bool = False):
    """A context in which batch norms use running statistics even in training.

    This applies to layers that never learn, since a frozen layer must remain the same
    function, and to those whose path matches the regular expression `also`. unbiased: the
    others keep the unbiased variance, as in PyTorch, n / (n - 1) of the one they
    divide by.
    """
    pattern = re.compile(also) if also else None

    def call(next_function, args, kwargs, context):
        module = context.module
        has_statistics = module.has_variable("batch_stats", "mean")
        if not has_statistics or context.method_name != "__call__":
            return next_function(*args, **kwargs)
        path = "/".join(module.path)
        scale = rates.get(f"{path}/scale", Rate())
        if scale.factor == 0 or (pattern and pattern.search(path)):
            return next_function(args[0], False)
        if not (unbiased and args[1]):
            return next_function(*args, **kwargs)
        old = module.get_variable("batch_stats", "var")
        result = next_function(*args, **kwargs)
        kept = module.momentum * old
        count = args[0].size // args[0].shape[-1]
        added = module.get_variable("batch_stats", "var") - kept
        module.put_variable("batch_stats", "var", kept + added * count / (count - 1))
        return result

    return nn.intercept_methods(call)
