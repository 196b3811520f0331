"""What is kept of a step whose loss or gradient was no number."""

from __future__ import annotations

import json
import math
import pathlib

from cxr_jax.devices import processes
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

# Layers that the message names; the file has all of them.
_SHOWN = 3


class NotFinite(Exception):
    """A step gave a loss or a gradient that is infinite or not a number.

    Attributes:
      step: updates done with it, so it is 1 for the first.
      loss, lr: of the step.
      layer_norms: of the gradient, one per leaf of the parameters.
    """

    def __init__(self, step: int, loss: float, lr: float, layer_norms: list[float]):
        super().__init__(f"step {step}")
        self.step, self.loss, self.lr = step, loss, lr
        self.layer_norms = layer_norms


def explain(
    error: NotFinite, path: pathlib.Path, layers: list[str], examples: list[str]
) -> InputError:
    """Writes what is known of the step to `path`, and says it.

    Args:
      error: of the step.
      path: of the JSON file.
      layers: names of the leaves of the parameters.
      examples: ids of the batch.
    """
    norms = dict(zip(layers, error.layer_norms, strict=True))
    content = {
        "step": error.step,
        "loss": str(error.loss),
        "lr": error.lr,
        "gradient_norm_by_layer": {name: str(norm) for name, norm in norms.items()},
        "batch": examples,
    }
    if processes.is_first():
        files.write_text(path, json.dumps(content, indent=2) + "\n")
    broken = [name for name, norm in norms.items() if not math.isfinite(norm)]
    shown = broken or sorted(norms, key=norms.get, reverse=True)
    which = "not finite in" if broken else "largest in"
    listed = ", ".join(f"{name} ({norms[name]:.3g})" for name in shown[:_SHOWN])
    more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return InputError(
        f"step {error.step}",
        f"the loss is {error.loss:.4g} at learning rate {error.lr:.3g}; the gradient "
        f"is {which} {listed}{more}",
        f"{path} has the norm of every layer and the ids of the batch. Nothing after "
        "the last checkpoint was kept: lower config.optim.lr, or set "
        "config.optim.clip_norm=1 and warm up",
    )
