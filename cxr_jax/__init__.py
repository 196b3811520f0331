"""COVID-19 detection and pneumonia severity from chest X-rays, in JAX.

    import cxr_jax

    cxr_jax.build("brixia/512", manual_dir="BrixIA", data_dir="data")
    model = cxr_jax.load("runs/brixia")
    predictions = model.predict(images)

What is offered here is imported when it is used: docs/api.md describes it.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxr_jax import metrics
    from cxr_jax.api import Model, load
    from cxr_jax.metrics.registry import METRICS
    from cxr_jax.models import MODELS
    from cxr_jax.ops.registry import OPS
    from cxr_jax.stats.bootstrap import weights as resample
    from cxr_jax.stats.estimate import Estimate
    from cxr_jax.tasks import TASKS
    from tfds_builders.build import build

__version__ = "0.2.0"

__all__ = [
    "METRICS",
    "MODELS",
    "OPS",
    "TASKS",
    "Estimate",
    "Model",
    "__version__",
    "build",
    "load",
    "metrics",
    "resample",
]

_FROM = {
    "METRICS": ("cxr_jax.metrics.registry", "METRICS"),
    "MODELS": ("cxr_jax.models", "MODELS"),
    "OPS": ("cxr_jax.ops.registry", "OPS"),
    "TASKS": ("cxr_jax.tasks", "TASKS"),
    "Estimate": ("cxr_jax.stats.estimate", "Estimate"),
    "Model": ("cxr_jax.api", "Model"),
    "build": ("tfds_builders.build", "build"),
    "load": ("cxr_jax.api", "load"),
    "resample": ("cxr_jax.stats.bootstrap", "weights"),
}

# In a checkout configs/, docs/ and launch/ lie beside this folder; installed, in it.
if not os.path.isdir(os.path.join(__path__[0], "configs")):
    __path__.append(os.path.dirname(__path__[0]))


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module("cxr_jax.metrics")
    if name not in _FROM:
        raise AttributeError(f"module 'cxr_jax' has no attribute {name!r}")
    module, attribute = _FROM[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
