"""The optimiser as the config says it, built from optax."""

from __future__ import annotations

import re
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from cxr_jax import trees
from tfds_builders.common.errors import InputError

# Each makes the direction of the update, uphill; `descend` takes the step.
OPTIMISERS = {
    "sgd": optax.trace,
    "adam": optax.scale_by_adam,
    "rmsprop": optax.scale_by_rms,
    "lion": optax.scale_by_lion,
}

SCHEDULES = ("constant", "cosine", "linear")


def make_schedule(config: ConfigDict, *, warmup_steps: int, total_steps: int):
    """step -> learning rate: linear warm-up, then constant, cosine or linear to 0."""
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
            f"{config.schedule!r} is unknown",
            f"choose one of: {', '.join(SCHEDULES)}",
        )
    if not warmup_steps:
        return main
    warmup = optax.linear_schedule(config.lr / warmup_steps, config.lr, warmup_steps)
    return optax.join_schedules([warmup, main], [warmup_steps])


def make_optimiser(config: ConfigDict) -> optax.GradientTransformation:
    """Clip by global norm, then the optimiser: the direction that `descend` goes.

    Args:
      config: `config.optim`; `settings` go to the optimiser as keyword arguments.
    """
    if config.name not in OPTIMISERS:
        raise InputError(
            "config.optim.name",
            f"{config.name!r} is unknown",
            f"choose one of: {', '.join(OPTIMISERS)} (adam with weight_decay is AdamW)",
        )
    settings = {key: config.settings[key] for key in config.settings}
    if config.name == "sgd":  # optax's trace has no default
        settings.setdefault("decay", 0.9)
    try:
        direction = OPTIMISERS[config.name](**settings)
    except TypeError as error:
        raise InputError(
            "config.optim.settings",
            f"{settings} does not fit {config.name} ({error})",
            "see the optax documentation of that optimiser for its settings",
        ) from None
    if not config.clip_norm:
        return direction
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), direction)


def descend(
    params: Any, direction: Any, settings: Any, no_decay: str, factors: list[Any]
) -> Any:
    """params - lr * factor * (direction + weight_decay * params): decoupled decay.

    Loshchilov and Hutter 2019, arXiv 1711.05101. Rate and decay come with every step
    and not from optax: members that train side by side have their own.

    Args:
      params, direction: alike; the direction is that of `make_optimiser`.
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
    """True for the leaves whose name does not match the regular expression."""
    pattern = re.compile(no_decay) if no_decay else None
    return jax.tree.map(
        lambda name: not (pattern and pattern.search(name)), trees.names(params)
    )
