"""Severity of six zones, as the Brixia score grades it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import losses, metrics
from cxr_jax.data.split import Split
from cxr_jax.tasks.task import Arrays, Task, choose_loss, refuse_unused
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES


def make_brixia(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """Six zones A..F, each with a score 0..3.

    Config: `loss` is 'cross_entropy', 'ordinal' (ranked probability score) or 'ce_mae'
    (`mae_share` of it the absolute error of the expected score, as in BS-Net);
    `label_smoothing` for the cross-entropies.
    """
    del class_counts
    refuse_unused(
        config, "the task brixia", ("classes", "merge", "sigmoid", "balanced")
    )
    if config.loss == "ordinal":
        refuse_unused(config, "the ordinal loss", ("label_smoothing",))
    smoothing = config.label_smoothing
    by_name = {
        "cross_entropy": partial(losses.cross_entropy, smoothing=smoothing),
        "ordinal": losses.ranked_probability,
        "ce_mae": partial(losses.ce_mae, alpha=config.mae_share, smoothing=smoothing),
    }
    per_zone = choose_loss(by_name, config.loss)

    def loss(logits, batch):
        return per_zone(_by_zone(logits), batch["scores"])

    def predict(logits):
        probs = jax.nn.softmax(_by_zone(logits))
        return {"probs": probs, "expected": losses.expected_score(_by_zone(logits))}

    return Task(
        num_outputs=len(ZONES) * LEVELS,
        levels=LEVELS,
        example_targets={"scores": ((len(ZONES),), np.int32)},
        targets=_brixia_targets,
        loss=loss,
        eval_loss=loss,
        predict=predict,
        decide=lambda targets, predictions: {
            "confidence": metrics.settle(targets["scores"], predictions["probs"])
        },
        constant=lambda targets: {
            "median": metrics.constant_median(targets["scores"]).tolist()
        },
        metrics=_brixia_metrics,
        columns=_brixia_columns,
        confusion=_brixia_confusion,
        select="mae_zone",
    )


def _by_zone(logits: jax.Array) -> jax.Array:
    return logits.reshape(logits.shape[0], len(ZONES), LEVELS)


def _brixia_targets(split: Split) -> Arrays:
    scores = split.table.get("scores")
    if scores is None:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"has no zone scores (it has: {', '.join(split.table)})",
            "the task 'brixia' needs the column 'scores'; use config.task.name=classify",
        )
    return {"scores": scores.astype(np.int32)}


def _brixia_metrics(split, targets, predictions, decision, *, resamples, seed):
    patients = split.table["patient_id"]
    bootstrap = {"resamples": resamples, "seed": seed}
    found = metrics.brixia_metrics(
        targets["scores"],
        predictions["expected"],
        predictions["probs"],
        patients,
        **bootstrap,
    )
    found |= metrics.scores_agreement(
        targets["scores"], predictions["expected"], patients, **bootstrap
    )
    found |= metrics.confidence_metrics(
        targets["scores"],
        predictions["probs"],
        patients,
        decision["confidence"],
        **bootstrap,
    )
    if "scores_junior" in split.table:
        found |= metrics.second_reader_metrics(
            predictions["expected"],
            targets["scores"],
            split.table["scores_junior"],
            patients,
            **bootstrap,
        )
    if "consensus_mean" in split.table:
        found |= metrics.consensus_metrics(
            predictions["expected"],
            targets["scores"],
            split.table["consensus_mean"],
            patients,
            **bootstrap,
        )
    if "median" in decision:
        constant = metrics.constant_median_metrics(
            targets["scores"], np.array(decision["median"]), patients, **bootstrap
        )
        found["mae_zone_constant"] = constant["mae_zone"]
        found["mae_global_constant"] = constant["mae_global"]
    found["loss"] = metrics.mean_loss(predictions["loss"], patients, **bootstrap)
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
