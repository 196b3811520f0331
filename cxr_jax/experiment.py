"""The one place where an experiment is put together from its config."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import config_check, optim, state, steps
from cxr_jax.data.split import Split
from cxr_jax.devices import ahead, sharding
from cxr_jax.models import MODELS, init
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.tasks import Task, make_task
from tfds_builders.common.errors import InputError


class Experiment(NamedTuple):
    """Everything that follows from the config and the size of the training split.

    Attributes:
      config: as given, locked.
      model: flax module.
      task: targets, loss, predictions, metrics.
      tx: of optax, gives the direction; `schedule`: step -> learning rate, before
        reduce-on-plateau.
      rates: {parameter: optim.Rate}, how fast each learns.
      train_step, eval_step: pure, not jitted; see `steps`.
      mesh: of the devices.
      image_shape: (H, W, C) that the model sees.
      total_steps, eval_steps, checkpoint_steps, log_steps: the whole training, and
        how often within it.
      abstract_state: TrainState of shapes, with shardings.
      decided_by: all that the steps were made from, as text.
    """

    config: ConfigDict
    model: Any
    task: Task
    tx: optax.GradientTransformation
    schedule: Callable[[Any], Any]
    rates: dict[str, optim.Rate]
    train_step: Callable[..., Any]
    eval_step: Callable[..., Any]
    mesh: jax.sharding.Mesh
    image_shape: tuple[int, int, int]
    total_steps: int
    eval_steps: int
    checkpoint_steps: int
    log_steps: int
    abstract_state: state.TrainState
    decided_by: str

    def draw(self) -> dict[str, Any]:
        """{'params', 'batch_stats'} on the host, drawn by the seed of the config."""
        seed = self.config.seed
        params, model_state = init.initialise(self.model, self.image_shape, seed)
        return {"params": params, **model_state}

    def init(self, variables: dict[str, Any] | None = None) -> state.TrainState:
        """A fresh state on the host, of given variables or of those of `draw`."""
        variables = variables or self.draw()
        return state.create(variables, self.tx, ema=bool(self.config.optim.ema_decay))

    def compile_eval_step(self) -> Callable[..., Any]:
        """The eval step, jitted: (variables, batch) -> {name: [B, ...]}, replicated."""
        return ahead.replicated(
            "eval_step", lambda: self.eval_step, self.mesh, self.decided_by
        )


def build(
    config: ConfigDict,
    *,
    train_examples: int,
    class_counts: np.ndarray | None = None,
    image_dtype: Any = np.uint16,
) -> Experiment:
    """Builds without arrays and without touching files.

    Args:
      config: see `configs/common.py`.
      train_examples: images in the training split, which give an epoch its length.
      class_counts: [K] of `count_classes`.
      image_dtype: of the stored pictures.

    Raises:
      InputError: anything in the config that cannot work, by its key.
    """
    config_check.check(config)
    mesh = sharding.make_mesh(config.batch_size, config.accumulate)
    task = make_task(config.task, class_counts)
    model = make_model(config.model, task.num_outputs)
    train_ops = make_preprocess(config.preprocess.train, train=True)
    eval_ops = make_preprocess(config.preprocess.eval, train=False)
    batch = abstract_batch(config, task, image_dtype)
    image_shape = _image_shape(train_ops, eval_ops, batch)
    lengths, schedule = _lengths_and_schedule(config, train_examples)
    tx = optim.make_optimiser(config.optim)
    abstract = _abstract_state(
        model, image_shape, tx, bool(config.optim.ema_decay), mesh
    )
    layers = _rates(config, abstract.params, train_examples, lengths["total_steps"])
    return Experiment(
        config=config,
        model=model,
        task=task,
        tx=tx,
        schedule=schedule,
        rates=layers,
        train_step=steps.make_train_step(
            model,
            task,
            train_ops,
            tx,
            rates=layers,
            frozen_norms=config.optim.frozen_norms,
            torch_norms=config.optim.get("torch_norms", False),
            no_decay=optim.undecayed(config.optim),
            ema_decay=config.optim.ema_decay,
            accumulate=config.accumulate,
        ),
        eval_step=steps.make_eval_step(model, task, eval_ops, train_ops),
        mesh=mesh,
        image_shape=image_shape,
        abstract_state=abstract,
        decided_by=_decided_by(config, class_counts, layers),
        **lengths,
    )


def _decided_by(config: ConfigDict, class_counts, rates: dict[str, optim.Rate]) -> str:
    """Seeds and rates are arguments of the steps, and the lengths are the host's."""
    plain = json.loads(config_lib.to_json(config))
    for key in config_lib.MAY_DIFFER:
        section, _, name = key.rpartition(".")
        (plain[section] if section else plain).pop(name, None)
    counts = None if class_counts is None else np.asarray(class_counts).tolist()
    return json.dumps([plain, counts, rates])


def variant(exp: Experiment, config: ConfigDict, *, train_examples: int) -> Experiment:
    """The same for a config that differs in `config.MAY_DIFFER` only: no tracing."""
    config_check.check(config)
    lengths, schedule = _lengths_and_schedule(config, train_examples)
    params = exp.abstract_state.params
    layers = _rates(config, params, train_examples, lengths["total_steps"])
    if layers != exp.rates:
        raise InputError(
            "config.optim.layers",
            "begins at other steps in one member than in another",
            "give its beginning in steps",
        )
    return exp._replace(config=config, schedule=schedule, **lengths)


def count_classes(config: ConfigDict, train: Split) -> np.ndarray | None:
    """[K] images per class in train, where the task of `config.task` needs them."""
    return make_task(config).class_counts(train)


def make_model(config: ConfigDict, num_outputs: int):
    """The flax module of `config.model`: `name`, `dtype`, and its own arguments."""
    if config.name not in MODELS:
        raise InputError(
            "config.model.name",
            f"{config.name!r} is unknown",
            f"choose one of: {', '.join(MODELS)}",
        )
    settings = {key: config[key] for key in config if key not in ("name", "dtype")}
    constructor = MODELS[config.name]
    known = [
        name
        for name in inspect.signature(constructor).parameters
        if name not in ("num_outputs", "dtype", "parent", "name", "kwargs")
    ]
    takes_all = "kwargs" in inspect.signature(constructor).parameters
    if takes_all:
        known = _fields(constructor)
    if settings.get("style") == "torch" and "style" not in known:
        del settings["style"]  # the default, of models that have one form only
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InputError(
            f"config.model.{unknown[0]}",
            f"{config.name} has no such setting",
            f"it has: {', '.join(known) or 'none'}; begin with a config of that model "
            "(configs/reproductions/ has s3_cnn and s4_cnn), or take the key out",
        )
    return constructor(
        num_outputs=num_outputs, dtype=jnp.dtype(config.dtype), **settings
    )


def _fields(constructor: Callable[..., Any]) -> list[str]:
    """What a constructor that hands `**kwargs` to a module can be given."""
    module, found = constructor(num_outputs=1), []
    for field in dataclasses.fields(module):
        if field.name in ("num_outputs", "dtype", "parent", "name"):
            continue
        try:
            constructor(num_outputs=1, **{field.name: getattr(module, field.name)})
        except TypeError:  # the constructor itself sets it
            continue
        found.append(field.name)
    return found


def _lengths_and_schedule(config: ConfigDict, train_examples: int):
    lengths = _lengths(config, train_examples)
    schedule = optim.make_schedule(
        config.optim,
        warmup_steps=lengths.pop("warmup_steps"),
        total_steps=lengths["total_steps"],
    )
    return lengths, schedule


def _lengths(config: ConfigDict, train_examples: int) -> dict[str, int]:
    def steps(key: str, duration: str, total: int | None = None) -> int:
        found = config_lib.steps(
            duration,
            key=key,
            train_examples=train_examples,
            batch_size=config.batch_size,
            total_steps=total,
        )
        if not found and key != "optim.warmup":
            raise InputError(
                f"config.{key}", f"is {duration!r}", "give at least one step"
            )
        return found

    total = steps("total", config.total)
    return {
        "total_steps": total,
        "warmup_steps": steps("optim.warmup", config.optim.warmup, total),
        "eval_steps": steps("every.eval", config.every.eval, total),
        "checkpoint_steps": steps("every.checkpoint", config.every.checkpoint, total),
        "log_steps": steps("every.log", config.every.log, total),
    }


def _rates(config: ConfigDict, params, train_examples: int, total_steps: int):
    to_steps = partial(
        config_lib.steps,
        key="optim.layers",
        train_examples=train_examples,
        batch_size=config.batch_size,
        total_steps=total_steps,
    )
    return optim.layer_rates(config.optim.layers, params, to_steps)


def abstract_batch(config: ConfigDict, task: Task, image_dtype):
    """A training batch of the host, {'image', 'mask', targets...}: shapes and dtypes."""
    targets = {**task.example_targets, **task.training_targets}
    size = config.data.size
    leading = (config.batch_size,)
    pictures = {"image": image_dtype} | (
        {"mask": np.uint8} if config.data.masks else {}
    )
    return {
        **{
            name: jax.ShapeDtypeStruct((*leading, size, size, 1), dtype)
            for name, dtype in pictures.items()
        },
        **{
            name: jax.ShapeDtypeStruct((*leading, *shape), dtype)
            for name, (shape, dtype) in targets.items()
        },
    }


def _image_shape(train_ops, eval_ops, batch) -> tuple[int, int, int]:
    key = jax.eval_shape(lambda: jax.random.key(0))
    found = jax.eval_shape(train_ops, batch, key)["image"]
    at_eval = jax.eval_shape(lambda b: eval_ops(b, None), batch)["image"]
    if found.shape != at_eval.shape or found.dtype != at_eval.dtype:
        raise InputError(
            "config.preprocess",
            f"train gives images {found.shape[1:]} {found.dtype}, eval "
            f"{at_eval.shape[1:]} {at_eval.dtype}",
            "make both strings end in the same size, channels and type",
        )
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise InputError(
            "config.preprocess", f"gives {found.dtype} images", "begin with to_float"
        )
    return tuple(found.shape[1:])


def _abstract_state(model, image_shape, tx, ema: bool, mesh) -> state.TrainState:
    variables = init.abstract_variables(model, image_shape)
    params = variables.pop("params")
    abstract = state.TrainState(
        step=jax.ShapeDtypeStruct((), np.int32),
        params=params,
        model_state=variables,
        opt_state=jax.eval_shape(tx.init, params),
        ema={"params": params, **variables} if ema else None,
    )
    everywhere = sharding.replicated(mesh)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), abstract
    )
