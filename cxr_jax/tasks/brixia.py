"""Severity of six zones, as the Brixia score grades it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from cxr_jax import losses, metrics
from cxr_jax.metrics import HEADLINES
from cxr_jax.tasks.task import (
    Arrays,
    Probabilities,
    Task,
    choose_loss,
    read_settings,
)
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from cxr_jax.data.split import Split


DEFAULTS = {
    "mae_share": 0.3,
    "label_smoothing": 0.0,
    "focal_gamma": 2.0,
    "reader": "senior",
}
_SECOND = "scores_junior"
# Whose scores the model is trained on; it is always tested on the senior's.
READERS = {
    "senior": ("scores",),
    "junior": (_SECOND,),
    "both": ("scores", _SECOND),
}
LOSSES = {
    "cross_entropy": (losses.cross_entropy, {"label_smoothing": "smoothing"}),
    "focal": (losses.focal, {"focal_gamma": "gamma"}),
    "ordinal": (losses.ranked_probability, {}),
    "ce_mae": (losses.ce_mae, {"mae_share": "alpha", "label_smoothing": "smoothing"}),
}


def make_brixia(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """Six zones A..F, each with a score 0..3.

    Config: `loss` is 'cross_entropy', 'focal', 'ordinal' (ranked probability score) or 'ce_mae'
    (`mae_share` of it the absolute error of the expected score, as in BS-Net);
    `label_smoothing` for the cross-entropies; `reader` is whose scores it is trained on,
    'senior', 'junior' or 'both' (the mean of both losses, so that where they differ the
    model learns how often). Val and test are the senior's.
    """
    del class_counts
    settings = read_settings(config, DEFAULTS)
    per_zone = choose_loss(config, LOSSES, settings, DEFAULTS)
    trained_on = _readers(settings["reader"])
    has_second = _SECOND in trained_on

    def loss(logits, batch):
        zones = _by_zone(logits)
        each = jnp.stack([per_zone(zones, batch[name]) for name in trained_on])
        return each.mean(axis=0)

    def eval_loss(logits, batch):
        return per_zone(_by_zone(logits), batch["scores"])

    def predict(logits):
        probs = jax.nn.softmax(_by_zone(logits))
        return {"probs": probs, "expected": losses.expected_score(_by_zone(logits))}

    return Task(
        name="brixia",
        num_outputs=len(ZONES) * LEVELS,
        levels=LEVELS,
        example_targets={"scores": ((len(ZONES),), np.int32)},
        targets=_brixia_targets,
        loss=loss,
        eval_loss=eval_loss,
        predict=predict,
        decide=_brixia_decision,
        constant=lambda targets: {
            "median": metrics.constant_median(targets["scores"]).tolist()
        },
        metrics=_brixia_metrics,
        columns=_brixia_columns,
        confusion=_brixia_confusion,
        select="mae_zone",
        headline=HEADLINES["brixia"],
        reference="The scores 0 to 3 of six lung zones in the dataset",
        label="scores",
        training_targets={_SECOND: ((len(ZONES),), np.int32)} if has_second else {},
        more_targets=_second_targets if has_second else lambda split: {},
        probabilities=Probabilities(
            classes=tuple(map(str, range(LEVELS))),
            questions=tuple(ZONES),
            is_graded=True,
            statistics=lambda labels, probs, decision: metrics.brixia_statistics(
                labels, probs
            ),
            chance=lambda labels, decision: float(
                np.abs(labels - np.array(decision["median"])).mean()
            ),
            pooled=lambda labels, probs, decisions, fold, weights: (
                metrics.brixia_metrics(
                    labels, probs @ np.arange(probs.shape[-1]), probs, weights
                )
            ),
            pooled_statistics=lambda labels, probs, decisions, fold: (
                metrics.brixia_statistics(labels, probs)
            ),
        ),
    )


def _readers(reader: str) -> tuple[str, ...]:
    if reader not in READERS:
        raise InputError(
            "config.task.settings.reader",
            f"is {reader!r}",
            f"choose one of: {', '.join(READERS)}",
        )
    return READERS[reader]


def _second_targets(split: Split) -> Arrays:
    second = split.table.get(_SECOND)
    if second is None or not np.isfinite(second).all():
        raise InputError(
            f"{split.dataset}:{split.split}",
            "has no scores of a second reader, or lacks some",
            "set config.task.settings.reader='senior', or use brixia_public",
        )
    return {_SECOND: second.astype(np.int32)}


def _by_zone(logits: jax.Array) -> jax.Array:
    return logits.reshape(logits.shape[0], len(ZONES), LEVELS)


def _brixia_targets(split: Split) -> Arrays:
    scores = split.table.get("scores")
    if scores is None:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"has no zone scores (it has: {', '.join(split.table)})",
            "the task brixia needs the column 'scores'; use a config of the task classify",
        )
    return {"scores": scores.astype(np.int32)}


def _brixia_decision(targets, predictions, patient_ids) -> dict[str, Any]:
    scores, probs = targets["scores"], predictions["probs"]
    fitted = metrics.fit_confidence(scores, probs, patient_ids)
    factor = metrics.fit_interval(scores, probs, patient_ids, fitted)
    return {"confidence": fitted, "interval_factor": factor}


def _brixia_metrics(split, targets, predictions, decision, resamples):
    scores, weights = targets["scores"], resamples.weights
    expected, probs = predictions["expected"], predictions["probs"]
    found = metrics.brixia_metrics(scores, expected, probs, weights)
    found |= metrics.confidence_metrics(scores, probs, weights, decision["confidence"])
    if "interval_factor" in decision:  # not in runs of an earlier version
        found |= metrics.interval_metrics(
            scores, probs, weights, decision["confidence"], decision["interval_factor"]
        )
    if "scores_junior" in split.table:
        junior = split.table["scores_junior"]
        found |= metrics.second_reader_metrics(expected, scores, junior, weights)
    if "consensus_mean" in split.table:
        consensus = split.table["consensus_mean"]
        found |= metrics.consensus_metrics(expected, scores, consensus, resamples)
    if "median" in decision:
        found |= metrics.constant_median_metrics(scores, decision["median"], weights)
    found["loss"] = metrics.mean_loss(predictions["loss"], weights)
    return found


def _brixia_confusion(targets, predictions, decision):
    del decision
    called = metrics.rounded(predictions["expected"], LEVELS - 1)
    cells = metrics.confusion_matrix(targets["scores"].ravel(), called.ravel(), LEVELS)
    return {"classes": list(range(LEVELS)), "target_by_called": cells.tolist()}


def _brixia_columns(targets: Arrays, predictions: Arrays) -> dict[str, Any]:
    columns = {f"target_{z}": targets["scores"][:, i] for i, z in enumerate(ZONES)}
    columns |= {
        f"expected_{z}": predictions["expected"][:, i] for i, z in enumerate(ZONES)
    }
    return columns | {
        f"prob_{z}{k}": predictions["probs"][:, i, k]
        for i, z in enumerate(ZONES)
        for k in range(LEVELS)
    }
