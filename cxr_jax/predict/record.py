"""What is said of one film: a row of predictions.csv, and a record of the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.gate.judge import Finding
from cxr_jax.predict.recipe import BRIXIA, Recipe
from cxr_jax.stats import calling, conformal, tempering

# The words of the column `gate`; '' where a film could not be read.
PASSED, REFUSED, WARNED, OFF = "passed", "refused", "warned", "off"
GATES = (PASSED, REFUSED, WARNED, OFF)


class Outputs(NamedTuple):
    """What a network gives of n films.

    Attributes:
      probs: float32 [n, G, K] of K classes or scores for G questions, untempered.
      features: float32 [n, D], the spatial mean of the last feature map.
      heatmap: float32 [n, h, w] >= 0, Grad-CAM at the size of that map; None of models
        that have none.
    """

    probs: Any
    features: Any
    heatmap: Any | None


def columns(recipe: Recipe) -> tuple[str, ...]:
    """The keys of a record in their order."""
    if recipe.task == BRIXIA:
        own = [f"expected_{zone}" for zone in recipe.questions]
        own += [f"prob_{z}{k}" for z in recipe.questions for k in recipe.classes]
        own += ["global", "global_low", "global_high"]
        own += [f"set_{zone}" for zone in recipe.questions]
    else:
        own = ["called", *(f"prob_{name}" for name in recipe.classes), "set"]
    return (
        *("path", "example_id", *own, "confidence"),
        *("gate", "gate_reasons", "warnings", "error"),
    )


def record(
    recipe: Recipe,
    path: str,
    example_id: str,
    probs: np.ndarray | None = None,
    *,
    gate: str = "",
    gate_reasons: str = "",
    warnings: Iterable[str] = (),
    error: str = "",
) -> dict[str, Any]:
    """The record of a film.

    Args:
      recipe: of the model.
      path, example_id: of the film.
      probs: float32 [G, K] of `Outputs`, or None for a film that was not scored, whose
        columns of figures are ''.
      gate: one of GATES, or ''.
      gate_reasons: of `reasons`.
      warnings: keys of counts.COUNTS.
      error: why the film could not be read.

    Returns:
      {column: text or number}; probabilities are float32, as the network gave them.
    """
    found: dict[str, Any] = dict.fromkeys(columns(recipe), "")
    found |= {"path": path, "example_id": example_id, "error": error}
    found |= {"gate": gate, "gate_reasons": gate_reasons}
    found["warnings"] = ";".join(map(_without_name, warnings))
    if probs is not None:
        probs = np.asarray(probs, np.float32)
        fill = _scores if recipe.task == BRIXIA else _classes
        found |= fill(recipe, probs)
        after = tempering.tempered(probs, recipe.decision.temperature)
        called = _called(recipe, probs)
        sure = np.take_along_axis(after, called[:, None], axis=1)
        found["confidence"] = np.float32(sure.mean())
    return found


def reasons(findings: Iterable[Finding]) -> str:
    """'view=0.91>0.50;cropped=...' of what a gate found: score and limit."""
    return ";".join(
        f"{each.check}={each.score:.2f}>{each.limit:.2f}" for each in findings
    )


def expected_scores(probs: np.ndarray) -> np.ndarray:
    """Mean score of each zone: [G, K] -> float32 [G].

    Each level is multiplied, added and rounded to float32 at once, as the compiled
    program of a run does on a CPU: so the last bit is that of its predictions.
    """
    total = np.zeros(len(probs), np.float32)
    for level in range(probs.shape[1]):
        exact = level * probs[:, level].astype(np.float64) + total
        total = exact.astype(np.float32)
    return total


def _scores(recipe: Recipe, probs: np.ndarray) -> dict[str, Any]:
    expected = expected_scores(probs)
    found: dict[str, Any] = {
        f"expected_{zone}": expected[i] for i, zone in enumerate(recipe.questions)
    }
    found |= {
        f"prob_{zone}{k}": probs[i, j]
        for i, zone in enumerate(recipe.questions)
        for j, k in enumerate(recipe.classes)
    }
    found["global"] = expected.sum(dtype=np.float32)
    found |= _interval(recipe, probs)
    for zone, text in zip(recipe.questions, _sets(recipe, probs), strict=True):
        found[f"set_{zone}"] = text
    return found


def _interval(recipe: Recipe, probs: np.ndarray) -> dict[str, Any]:
    factor = recipe.decision.interval_factor
    if factor is None:
        return {}
    after = tempering.tempered(probs, recipe.decision.temperature)
    low, high = conformal.interval(probs, after, factor)
    return {"global_low": np.float32(low), "global_high": np.float32(high)}


def _classes(recipe: Recipe, probs: np.ndarray) -> dict[str, Any]:
    return {
        "called": recipe.classes[_called(recipe, probs)[0]],
        **{f"prob_{name}": probs[0, k] for k, name in enumerate(recipe.classes)},
        "set": _sets(recipe, probs)[0],
    }


def _called(recipe: Recipe, probs: np.ndarray) -> np.ndarray:
    """Index of the class called, or of the most probable score, for each question."""
    if recipe.decision.thresholds is None:
        return probs.argmax(axis=1)
    return calling.decide(probs, recipe.decision.thresholds)


def _sets(recipe: Recipe, probs: np.ndarray) -> list[str]:
    after = tempering.tempered(probs, recipe.decision.temperature)
    held = conformal.sets(after, recipe.decision.set_least)
    names = np.array(recipe.classes)
    return ["|".join(names[row]) for row in held]


def _without_name(key: str) -> str:
    """A count about a film by its name, which the record has already."""
    return key.partition(":")[0] if key.startswith("films_") else key
