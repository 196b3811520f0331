"""Our training without configs, datasets or files: of layers 1 to 3 alone.

Such a machine has neither the package of configs nor those of datasets. A test holds
the steps equal to those that a config gives.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import optim, state, steps
from cxr_jax.devices import sharding
from cxr_jax.models import MODELS, init
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.tasks import DEFAULTS, Task, make_task

CLASSES = 4
# The last parts of the preprocessing of configs/common.py.
PLAIN = "to_float|standardise"
AUGMENTED = (
    "to_float|resize({side})|affine(rotate=10, shift=0.05, zoom=0.1)"
    "|brightness(0.2)|contrast(0.2)|flip_lr|standardise"
)


class Keys(dict):
    """A dict whose values are attributes too, as those of a config."""

    __getattr__ = dict.__getitem__


class Setup(NamedTuple):
    """What is trained.

    Attributes:
      model, task: of layers 1 and 2. image_shape: (H, W, C) that the model sees.
      train_step: pure, of (state, batch, root key, settings); predict_step: of
        (variables, batch); preprocess: of (batch, None), of the latter.
      tx: of optax.
      mesh: of the devices.
      decided_by: all that the steps were made from, as text.
    """

    model: Any
    task: Task
    image_shape: tuple[int, int, int]
    train_step: Any
    predict_step: Any
    preprocess: Any
    tx: Any
    mesh: jax.sharding.Mesh
    decided_by: str

    def variables(self, seed: int = 0) -> dict[str, Any]:
        """{'params', 'batch_stats'} on the host."""
        params, model_state = init.initialise(self.model, self.image_shape, seed)
        return {"params": params, **model_state}

    def state(self, seed: int = 0) -> state.TrainState:
        """A fresh state on the host."""
        return state.create(self.variables(seed), self.tx, ema=False)


def setup(
    model: str,
    dtype: str,
    side: int,
    batch_size: int,
    *,
    task: str = "classify",
    preprocess: str = PLAIN,
    clip_norm: float = 0.0,
) -> Setup:
    """configs/common.py with this model, task, size and preprocessing.

    Args:
      task: 'classify', of CLASSES classes, or 'brixia'.
      preprocess: of training; predictions are made without what is random in it.
      clip_norm: of the gradient; 0 is off.
    """
    settings: dict[str, Any] = dict(DEFAULTS[task])
    if task == "classify":
        settings["classes"] = tuple(f"class {k}" for k in range(CLASSES))
    loss = "cross_entropy" if task == "classify" else "ce_mae"
    made = make_task(
        Keys(name=task, loss=loss, settings=Keys(settings), label_noise=0.0)  # type: ignore
    )
    network = MODELS[model](num_outputs=made.num_outputs, dtype=jnp.dtype(dtype))
    shape = (side, side, 1)
    chain = Keys(
        name="adam", settings={}, clip_norm=clip_norm, no_decay="(bias|scale)$"
    )
    tx = optim.make_optimiser(chain)  # type: ignore
    params = init.abstract_variables(network, shape)["params"]
    rates = optim.layer_rates((), params, lambda text: 0)
    last = f"to_float|resize({side})|standardise" if preprocess != PLAIN else PLAIN
    at_eval = make_preprocess(last, train=False)
    return Setup(
        network,
        made,
        shape,
        steps.make_train_step(
            network,
            made,
            make_preprocess(preprocess, train=True),
            tx,
            rates=rates,
            no_decay=optim.undecayed(chain),  # type: ignore
        ),
        steps.make_predict_step(network, made, at_eval),
        at_eval,
        tx,
        sharding.make_mesh(batch_size),
        json.dumps([model, dtype, side, batch_size, task, preprocess, clip_norm]),
    )


def settings(steps_: int | None = None, weight_decay: float = 0.0) -> steps.Settings:
    """Of one step, or of some: float32 [] or [n]."""
    shape = () if steps_ is None else (steps_,)
    values = (1e-3, weight_decay, 1.0)
    return steps.Settings(*(np.full(shape, value, np.float32) for value in values))  # type: ignore


def targets(task: Task, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random targets of so many examples."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.integers(0, task.levels, (count, *shape), dtype=dtype)
        for name, (shape, dtype) in task.example_targets.items()
    }


class Run(NamedTuple):
    """The part of a training that `train.stepper.on_device` uses."""

    exp: Any
    splits: Any
    targets: dict[str, np.ndarray]
    order: Any


def run(made: Setup, count: int, batch_size: int, seed: int = 0) -> Run:
    """A training on `count` pictures on the device, in random order."""

    class Order:
        """Positions of batch i: every epoch is a new permutation."""

        def __getitem__(self, step: int) -> np.ndarray:
            epoch, place = divmod(step * batch_size, count)
            drawn = [
                np.random.default_rng((seed, epoch + k)).permutation(count)
                for k in range(1 + (place + batch_size - 1) // count)
            ]
            return np.concatenate(drawn)[place : place + batch_size]

    return Run(
        SimpleNamespace(
            config=SimpleNamespace(seed=seed),
            train_step=made.train_step,
            mesh=made.mesh,
            decided_by=made.decided_by,
        ),
        SimpleNamespace(train=SimpleNamespace(rows=np.arange(count))),
        targets(made.task, count, seed),
        Order(),
    )
