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
]

_MODULES = {
    "METRICS": "cxr_jax.metrics.registry",
    "MODELS": "cxr_jax.models",
    "OPS": "cxr_jax.ops.registry",
    "TASKS": "cxr_jax.tasks",
    "Estimate": "cxr_jax.stats.estimate",
    "Model": "cxr_jax.api",
    "build": "tfds_builders.build",
    "load": "cxr_jax.api",
}

# In a checkout configs/, docs/ and launch/ lie beside this folder; installed, in it.
if not os.path.isdir(os.path.join(__path__[0], "configs")):
    __path__.append(os.path.dirname(__path__[0]))


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module("cxr_jax.metrics")
    if name not in _MODULES:
        raise AttributeError(f"module 'cxr_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
