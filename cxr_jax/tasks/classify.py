"""One class for an image: binary, or several one against the rest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
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

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from cxr_jax.data.split import Split


DEFAULTS = {
    "classes": (),
    "column": "label",
    "merge": "",
    "sigmoid": False,
    "balanced": False,
    "label_smoothing": 0.0,
    "focal_gamma": 2.0,
}
LOSSES = {
    "cross_entropy": (losses.cross_entropy, {"label_smoothing": "smoothing"}),
    "focal": (losses.focal, {"focal_gamma": "gamma"}),
}


def make_classify(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """One of `classes`; with two classes the second is the positive one.

    Config: `merge` maps labels of a dataset to classes ('P=COVID,N=Normal'), which is
    how a dataset with other labels serves as an external test; `column` is the class
    label of the dataset that is learnt, 'label' or 'severity'; `sigmoid` gives two
    classes one logit; `loss` is 'cross_entropy' or 'focal' (`focal_gamma`); `balanced`
    weighs classes by their inverse frequency in train; `label_smoothing`.
    """
    settings = read_settings(config, DEFAULTS)
    classes = tuple(settings["classes"])
    _check_classes(classes, settings["sigmoid"])
    merge = parse_merge(settings["merge"])
    is_binary = len(classes) == 2
    widen = losses.two_logits if settings["sigmoid"] else lambda logits: logits
    per_image = choose_loss(config, LOSSES, settings, DEFAULTS)
    weights = None
    if settings["balanced"] and class_counts is not None:
        weights = class_counts.sum() / (len(classes) * np.maximum(class_counts, 1))
    targets = partial(
        _class_targets, classes=classes, merge=merge, column=settings["column"]
    )

    def count(split):
        if not settings["balanced"]:
            return None
        return np.bincount(targets(split)["label"], minlength=len(classes))

    def decide(targets, predictions, patient_ids):
        label, probs = targets["label"], predictions["probs"]
        return {
            "thresholds": metrics.choose_thresholds(label, probs).tolist(),
            "sensitive_thresholds": metrics.sensitive_thresholds(label, probs).tolist(),
            "confidence": metrics.fit_confidence(label, probs, patient_ids),
        }

    def constant(targets):
        found = metrics.class_frequencies(targets["label"], len(classes))
        return {"frequencies": found.tolist()}

    def columns(targets, predictions):
        probs = predictions["probs"]
        named = {f"prob_{name}": probs[:, k] for k, name in enumerate(classes)}
        return {"target": [classes[k] for k in targets["label"]]} | named

    joined = f", joined by {settings['merge']}" if merge else ""
    return Task(
        name="classify",
        num_outputs=1 if settings["sigmoid"] else len(classes),
        levels=len(classes),
        example_targets={"label": ((), np.int32)},
        targets=targets,
        loss=lambda logits, batch: per_image(
            widen(logits), batch["label"], class_weights=weights
        ),
        eval_loss=lambda logits, batch: per_image(widen(logits), batch["label"]),
        predict=lambda logits: {"probs": jax.nn.softmax(widen(logits))},
        decide=decide,
        constant=constant,
        metrics=partial(_class_metrics, classes=classes),
        columns=columns,
        confusion=partial(_class_confusion, classes=classes),
        select="auroc" if is_binary else "auroc_macro",
        headline=HEADLINES["two classes" if is_binary else "classes"],
        reference=f"One of {', '.join(classes)}, the dataset's {settings['column']}{joined}",
        class_counts=count,
        label="label",
        probabilities=Probabilities(
            classes=classes,
            questions=("",),
            is_graded=False,
            statistics=lambda labels, probs, decision: metrics.class_statistics(
                labels[:, 0],
                probs[:, 0],
                metrics.decide(probs[:, 0], np.array(decision["thresholds"])),
            ),
            chance=lambda labels, decision: 0.5,
            pooled=partial(_pooled, classes=classes),
            pooled_statistics=_pooled_statistics,
        ),
    )


def _check_classes(classes: tuple[str, ...], sigmoid: bool) -> None:
    if len(classes) < 2:
        raise InputError(
            "config.task.settings.classes", f"is {classes}", "name at least two classes"
        )
    if sigmoid and len(classes) > 2:
        raise InputError(
            "config.task.settings.sigmoid",
            f"is on with {len(classes)} classes",
            "one logit tells two classes apart; switch it off",
        )


def parse_merge(text: str) -> dict[str, str]:
    """'P=COVID,N=Normal' -> {'P': 'COVID', 'N': 'Normal'}: label of a dataset, class."""
    pairs = [item.partition("=") for item in text.split(",") if item]
    if not all(label and equals and name for label, equals, name in pairs):
        raise InputError(
            "config.task.settings.merge",
            f"{text!r} is not a list of labels and classes",
            "write it as 'P=COVID,N=Normal'",
        )
    return {label: name for label, _, name in pairs}


def _class_targets(split: Split, *, classes, merge, column) -> Arrays:
    names = split.label_names.get(column)
    if names is None:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"has no class labels (it has: {', '.join(split.table)})",
            f"the task classify needs the column {column!r}; use a config of the task brixia",
        )
    if (split.table[column] < 0).any():
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"{(split.table[column] < 0).sum()} images have no label",
            "choose a split of labelled images",
        )
    to_class = [merge.get(name, name) for name in names]
    present = np.unique(split.table[column])
    unknown = [names[k] for k in present if to_class[k] not in classes]
    if unknown:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"holds labels {unknown} that are not among the classes {list(classes)}",
            "map each to a class: --config.task.settings.merge="
            + ",".join(f"{name}=CLASS" for name in unknown),
        )
    index = np.array([classes.index(c) if c in classes else -1 for c in to_class])
    return {"label": index[split.table[column]].astype(np.int32)}


def _class_metrics(split, targets, predictions, decision, resamples, *, classes):
    label, probs, weights = targets["label"], predictions["probs"], resamples.weights
    severity_names = split.label_names.get("severity", ())
    thresholds = np.array(decision["thresholds"])
    found = metrics.classify_metrics(
        label,
        probs,
        weights,
        classes,
        thresholds,
        severity=split.table["severity"] if severity_names else None,
        severity_names=severity_names,
    )
    called = metrics.decide(probs, thresholds)
    found |= metrics.classes_agreement(label, called, len(classes), weights)
    found |= metrics.confidence_metrics(label, probs, weights, decision["confidence"])
    if len(classes) == 2:
        positive, scores = label == 1, probs[:, 1]
        patients = split.table["patient_id"]
        found["auroc_delong"] = metrics.delong_auroc(positive, scores, patients)
        for suffix, key in (("", "thresholds"), ("_at95", "sensitive_thresholds")):
            call = scores >= decision[key][1]
            found |= metrics.operating_metrics(positive, call, weights, suffix=suffix)
    if "frequencies" in decision:
        frequencies = np.array(decision["frequencies"])
        found |= metrics.majority_metrics(label, frequencies, weights)
    found["loss"] = metrics.mean_loss(predictions["loss"], weights)
    return found


def _pooled(labels, probs, decisions, fold, weights, *, classes):
    """Metrics of pooled folds; each image is called at the threshold of its own fold.

    Areas are those of the probabilities as they are: folds that are calibrated
    differently lower them, as they should.
    """
    target, probs = labels[:, 0], probs[:, 0]
    half = np.full(len(classes), 0.5)
    areas = metrics.classify_metrics(target, probs, weights, classes, half)
    levelled = at_half(probs, _of_folds(decisions, fold))
    calls = metrics.classify_metrics(target, levelled, weights, classes, half)
    fixed = metrics.without_threshold(classes)
    found = {name: (areas if name in fixed else calls)[name] for name in areas}
    called = metrics.decide(levelled, half) if len(classes) == 2 else probs.argmax(1)
    if len(classes) > 2:  # the most probable class needs no threshold
        found["accuracy"], found["macro_f1"] = areas["accuracy"], areas["macro_f1"]
    return found | metrics.classes_agreement(target, called, len(classes), weights)


def _pooled_statistics(labels, probs, decisions, fold):
    """As `_pooled`: the probabilities as they are, calls at each fold's threshold."""
    target, probs = labels[:, 0], probs[:, 0]
    called = metrics.decide(probs, _of_folds(decisions, fold))
    return metrics.class_statistics(target, probs, called)


def _of_folds(decisions, fold) -> np.ndarray:
    """The thresholds of every image: [N, K]."""
    return np.array([each["thresholds"] for each in decisions])[fold]


def at_half(probs, thresholds) -> np.ndarray:
    """Probabilities bent so that 0.5 is where the threshold was; order is kept."""
    below = 0.5 * probs / np.maximum(thresholds, 1e-12)
    above = 0.5 + 0.5 * (probs - thresholds) / np.maximum(1 - thresholds, 1e-12)
    return np.where(probs >= thresholds, above, below)


def _class_confusion(targets, predictions, decision, *, classes):
    called = metrics.decide(predictions["probs"], np.array(decision["thresholds"]))
    cells = metrics.confusion_matrix(targets["label"], called, len(classes))
    return {"classes": list(classes), "target_by_called": cells.tolist()}
