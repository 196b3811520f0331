"""Whether an exported model is the run's: films through both, and what others lose."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from cxr_jax.bundle.network import Network
from cxr_jax.export.films import Films
from cxr_jax.predict.of_run import Opened
from cxr_jax.predict.record import Outputs
from tfds_builders.common.errors import InputError

BOUND = 1e-4
BATCH = 16
TIMED = 20  # calls, of which the median counts


def reference(function: Callable[..., Outputs], images: np.ndarray) -> Outputs:
    """What JAX makes of the images, in float32 with full products."""
    with jax.default_matmul_precision("highest"):
        compiled = jax.jit(function)
        parts = []
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            filled = np.pad(part, ((0, BATCH - len(part)), *[(0, 0)] * 3))
            found = jax.device_get(compiled(filled))
            parts.append(jax.tree.map(operator.itemgetter(slice(len(part))), found))
    return jax.tree.map(lambda *each: np.concatenate(each), *parts)


def differences(found: Outputs, wanted: Outputs) -> dict[str, float]:
    """{output: the largest difference}, of features and map in units of the largest."""
    gaps = {}
    for name, one, other in zip(Outputs._fields, found, wanted, strict=True):
        if one is None or other is None:
            continue
        unit = 1.0 if name == "probs" else max(1.0, float(np.abs(other).max()))
        gaps[name] = float(np.abs(one.astype(np.float64) - other).max() / unit)
    return gaps


def verify(
    network: Network, wanted: Outputs, films: Films, path: Any
) -> dict[str, float]:
    """`differences` on the verified films.

    Raises:
      InputError: one of them is above BOUND.
    """
    found = network(films.verified)
    if (found.heatmap is None) != (wanted.heatmap is None):
        raise InputError(path, "has another set of outputs", "report this as an error")
    gaps = differences(found, wanted)
    finite = all(np.isfinite(gap) for gap in gaps.values())
    if not finite or max(gaps.values()) > BOUND:
        raise InputError(
            path,
            f"differs from the run on {len(films.verified)} films of {films.source}: "
            + ", ".join(f"{name} by {gap:.2g}" for name, gap in gaps.items())
            + f" (at most {BOUND:g})",
            "nothing was exported: please report this with the config of the run",
        )
    return gaps


def losses(
    opened: Opened, networks: dict[str, Network], films: Films
) -> dict[str, Any]:
    """{variant: what it says otherwise than float32}.

    'probs' is the largest difference of a probability, 'called' the share of questions
    with another most probable class, and `metric` the task's main metric on the
    compared films of test.
    """
    known = opened.exp.task.probabilities
    assert known is not None  # of_run refused it
    decision = opened.recipe.decision._asdict()
    images = films.compared if len(films.compared) else films.verified
    base = networks["float32"](images).probs
    found = {}
    for variant, network in networks.items():
        probs = base if variant == "float32" else network(images).probs
        row: dict[str, Any] = {
            "films": len(images),
            "probs": float(np.abs(probs - base).max()),
            "called": float((probs.argmax(-1) != base.argmax(-1)).mean()),
        }
        if len(films.labels):
            weights = np.ones((1, len(images)))
            made = known.statistics(films.labels, probs.astype(np.float64), decision)
            row[opened.exp.task.main] = float(made[opened.exp.task.main](weights)[0])
        found[variant] = row
    return found


def latency(network: Network, image: np.ndarray) -> float:
    """Milliseconds of a film, the median of some calls after a first one."""
    network(image[None])
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        network(image[None])
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))
