"""What a model learns: targets, loss, predictions and metrics of a task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import losses, metrics
from cxr_jax.data.source import Split
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import LEVELS, ZONES

Arrays = dict[str, np.ndarray]


class Task(NamedTuple):
    """A task is a record of functions.

    Attributes:
      num_outputs: logits per image.
      example_targets: {name: (shape, dtype)} of one example's targets.
      targets: Split -> {name: [N, ...]}; refuses a split that does not fit.
      loss: (logits [B, num_outputs], batch) -> float32 [B].
      predict: logits -> {name: [B, ...]}, inside jit.
      decide: (targets, predictions) -> JSON values settled on val, as thresholds.
      constant: targets of train -> JSON values: the best constant predictor.
      metrics: (split, targets, predictions, decision, *, resamples, seed) ->
        {name: Estimate}.
      columns: (targets, predictions) -> {column: [N]} of the predictions file.
      confusion: (targets, predictions, decision) -> {'classes', 'target_by_called'}.
      select: the metric on val that picks the checkpoint, unless the config names one.
    """

    num_outputs: int
    example_targets: dict[str, tuple[tuple[int, ...], Any]]
    targets: Callable[[Split], Arrays]
    loss: Callable[[jax.Array, dict[str, jax.Array]], jax.Array]
    predict: Callable[[jax.Array], dict[str, jax.Array]]
    decide: Callable[[Arrays, Arrays], dict[str, Any]]
    constant: Callable[[Arrays], dict[str, Any]]
    metrics: Callable[..., dict[str, metrics.Estimate]]
    columns: Callable[[Arrays, Arrays], dict[str, Any]]
    confusion: Callable[[Arrays, Arrays, dict[str, Any]], dict[str, Any]]
    select: str


def lower_is_better(metric: str) -> bool:
    """Losses, errors and their spread fall as a model gets better."""
    return metric.startswith(("loss", "mae", "sd"))


# ----------------------------------------------------------------------- brixia


def make_brixia(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """Six zones A..F, each with a score 0..3.

    Config: `loss` is 'cross_entropy', 'ordinal' (ranked probability score) or 'ce_mae'
    (`mae_share` of it the absolute error of the expected score, as in BS-Net);
    `label_smoothing` for the cross-entropies.
    """
    del class_counts
    smoothing = config.label_smoothing
    by_name = {
        "cross_entropy": partial(losses.cross_entropy, smoothing=smoothing),
        "ordinal": losses.ranked_probability,
        "ce_mae": partial(losses.ce_mae, alpha=config.mae_share, smoothing=smoothing),
    }
    per_zone = _choose_loss(by_name, config.loss)

    def loss(logits, batch):
        return per_zone(_by_zone(logits), batch["scores"])

    def predict(logits):
        probs = jax.nn.softmax(_by_zone(logits))
        return {"probs": probs, "expected": losses.expected_score(_by_zone(logits))}

    return Task(
        num_outputs=len(ZONES) * LEVELS,
        example_targets={"scores": ((len(ZONES),), np.int32)},
        targets=_brixia_targets,
        loss=loss,
        predict=predict,
        decide=lambda targets, predictions: {},
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


# --------------------------------------------------------------------- classify


def make_classify(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """One of `classes`; with two classes the second is the positive one.

    Config: `merge` maps labels of a dataset to classes, which is how a dataset with
    other labels serves as an external test; `sigmoid` gives two classes one logit;
    `loss` is 'cross_entropy' or 'focal' (`focal_gamma`); `balanced` weighs classes by
    their inverse frequency in train; `label_smoothing`.
    """
    classes = tuple(config.classes)
    if len(classes) < 2:
        raise InputError(
            "config.task.classes", f"{classes}", "name at least two classes"
        )
    if config.sigmoid and len(classes) > 2:
        raise InputError(
            "config.task.sigmoid",
            f"is on with {len(classes)} classes",
            "one logit tells two classes apart; switch it off",
        )
    widen = losses.two_logits if config.sigmoid else lambda logits: logits
    weights = None
    if config.balanced and class_counts is not None:
        weights = class_counts.sum() / (len(classes) * np.maximum(class_counts, 1))
    by_name = {
        "cross_entropy": partial(
            losses.cross_entropy,
            smoothing=config.label_smoothing,
            class_weights=weights,
        ),
        "focal": partial(losses.focal, gamma=config.focal_gamma, class_weights=weights),
    }
    per_image = _choose_loss(by_name, config.loss)

    def decide(targets, predictions):
        found = metrics.choose_thresholds(targets["label"], predictions["probs"])
        return {"thresholds": found.tolist()}

    def constant(targets):
        found = metrics.class_frequencies(targets["label"], len(classes))
        return {"frequencies": found.tolist()}

    def columns(targets, predictions):
        probs = predictions["probs"]
        named = {f"prob_{name}": probs[:, k] for k, name in enumerate(classes)}
        return {"target": [classes[k] for k in targets["label"]]} | named

    return Task(
        num_outputs=1 if config.sigmoid else len(classes),
        example_targets={"label": ((), np.int32)},
        targets=partial(_class_targets, classes=classes, merge=config.merge),
        loss=lambda logits, batch: per_image(widen(logits), batch["label"]),
        predict=lambda logits: {"probs": jax.nn.softmax(widen(logits))},
        decide=decide,
        constant=constant,
        metrics=partial(_class_metrics, classes=classes),
        columns=columns,
        confusion=partial(_class_confusion, classes=classes),
        select="auroc" if len(classes) == 2 else "auroc_macro",
    )


def _class_targets(split: Split, *, classes, merge) -> Arrays:
    names = split.label_names.get("label")
    if names is None:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"has no class labels (it has: {', '.join(split.table)})",
            "the task 'classify' needs the column 'label'; use config.task.name=brixia",
        )
    to_class = [merge.get(name, name) for name in names]
    present = np.unique(split.table["label"])
    unknown = [names[k] for k in present if to_class[k] not in classes]
    if unknown:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"holds labels {unknown} that are none of the classes {list(classes)}",
            "map each to a class in config.task.merge, as configs/radiography.py:binary "
            "does",
        )
    index = np.array([classes.index(c) if c in classes else -1 for c in to_class])
    return {"label": index[split.table["label"]].astype(np.int32)}


def _class_metrics(split, targets, predictions, decision, *, classes, resamples, seed):
    severity_names = split.label_names.get("severity")
    patients = split.table["patient_id"]
    bootstrap = {"resamples": resamples, "seed": seed}
    found = metrics.classify_metrics(
        targets["label"],
        predictions["probs"],
        patients,
        classes,
        np.array(decision["thresholds"]),
        severity=split.table["severity"] if severity_names else None,
        severity_names=severity_names,
        **bootstrap,
    )
    if "frequencies" in decision:
        constant = metrics.majority_metrics(
            targets["label"],
            np.array(decision["frequencies"]),
            patients,
            classes,
            **bootstrap,
        )
        found["accuracy_constant"] = constant["accuracy"]
        found["macro_f1_constant"] = constant["macro_f1"]
    found["loss"] = metrics.mean_loss(predictions["loss"], patients, **bootstrap)
    return found


def _class_confusion(targets, predictions, decision, *, classes):
    called = metrics.decide(predictions["probs"], np.array(decision["thresholds"]))
    cells = metrics.confusion_matrix(targets["label"], called, len(classes))
    return {"classes": list(classes), "target_by_called": cells.tolist()}


# ------------------------------------------------------------------------------

TASKS = {"brixia": make_brixia, "classify": make_classify}


def make_task(config: ConfigDict, class_counts: np.ndarray | None = None) -> Task:
    """The task of `config.task`.

    Args:
      config: `config.task`.
      class_counts: images per class in train, where `balanced` is set.
    """
    if config.name not in TASKS:
        raise InputError(
            "config.task.name",
            f"{config.name!r} is unknown",
            f"choose one of: {', '.join(TASKS)}",
        )
    return TASKS[config.name](config, class_counts)


def _choose_loss(by_name: dict[str, Any], name: str):
    if name not in by_name:
        raise InputError(
            "config.task.loss",
            f"{name!r} is unknown",
            f"choose one of: {', '.join(by_name)}",
        )
    return by_name[name]
