"""One class for an image: binary, or several one against the rest."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import losses, metrics
from cxr_jax.data.split import Split
from cxr_jax.tasks.task import Arrays, Task, choose_loss, refuse_unused
from tfds_builders.common.errors import InputError


def make_classify(config: ConfigDict, class_counts: np.ndarray | None) -> Task:
    """One of `classes`; with two classes the second is the positive one.

    Config: `merge` maps labels of a dataset to classes ('P=COVID,N=Normal'), which is
    how a dataset with other labels serves as an external test; `sigmoid` gives two classes one logit;
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
    if config.loss == "focal":
        refuse_unused(config, "the focal loss", ("label_smoothing",))
    by_name = {
        "cross_entropy": partial(
            losses.cross_entropy, smoothing=config.label_smoothing
        ),
        "focal": partial(losses.focal, gamma=config.focal_gamma),
    }
    per_image = choose_loss(by_name, config.loss)
    weights = None
    if config.balanced and class_counts is not None:
        weights = class_counts.sum() / (len(classes) * np.maximum(class_counts, 1))

    def decide(targets, predictions):
        label, probs = targets["label"], predictions["probs"]
        return {
            "thresholds": metrics.choose_thresholds(label, probs).tolist(),
            "sensitive_thresholds": metrics.sensitive_thresholds(label, probs).tolist(),
            "confidence": metrics.settle(label, probs),
        }

    def constant(targets):
        found = metrics.class_frequencies(targets["label"], len(classes))
        return {"frequencies": found.tolist()}

    def columns(targets, predictions):
        probs = predictions["probs"]
        named = {f"prob_{name}": probs[:, k] for k, name in enumerate(classes)}
        return {"target": [classes[k] for k in targets["label"]]} | named

    return Task(
        num_outputs=1 if config.sigmoid else len(classes),
        levels=len(classes),
        example_targets={"label": ((), np.int32)},
        targets=partial(
            _class_targets, classes=classes, merge=parse_merge(config.merge)
        ),
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
        select="auroc" if len(classes) == 2 else "auroc_macro",
    )


def parse_merge(text: str) -> dict[str, str]:
    """'P=COVID,N=Normal' -> {'P': 'COVID', 'N': 'Normal'}: label of a dataset, class."""
    pairs = [item.partition("=") for item in text.split(",") if item]
    if not all(label and equals and name for label, equals, name in pairs):
        raise InputError(
            "config.task.merge",
            f"{text!r} is no list of labels and classes",
            "write it as 'P=COVID,N=Normal'",
        )
    return {label: name for label, _, name in pairs}


def _class_targets(split: Split, *, classes, merge) -> Arrays:
    names = split.label_names.get("label")
    if names is None:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"has no class labels (it has: {', '.join(split.table)})",
            "the task 'classify' needs the column 'label'; use config.task.name=brixia",
        )
    if (split.table["label"] < 0).any():
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"{(split.table['label'] < 0).sum()} images have no label",
            "choose a split of labelled images",
        )
    to_class = [merge.get(name, name) for name in names]
    present = np.unique(split.table["label"])
    unknown = [names[k] for k in present if to_class[k] not in classes]
    if unknown:
        raise InputError(
            f"{split.dataset}:{split.split}",
            f"holds labels {unknown} that are none of the classes {list(classes)}",
            "map each to a class: --config.task.merge="
            + ",".join(f"{name}=CLASS" for name in unknown),
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
    found |= _more_metrics(
        targets["label"], predictions["probs"], patients, decision, classes, bootstrap
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


def _more_metrics(label, probs, patients, decision, classes, bootstrap):
    """Operating points, agreement and calibration; see docs/metrics.md."""
    called = metrics.decide(probs, np.array(decision["thresholds"]))
    agree = metrics.classes_agreement(
        label, called, len(classes), patients, **bootstrap
    )
    confident = metrics.confidence_metrics(
        label, probs, patients, decision["confidence"], **bootstrap
    )
    found = agree | confident
    if len(classes) > 2:
        return found
    found["auroc_delong"] = metrics.delong_auroc(label == 1, probs[:, 1])
    for suffix, key in (("", "thresholds"), ("_at95", "sensitive_thresholds")):
        call = probs[:, 1] >= decision[key][1]
        found |= metrics.operating_metrics(
            label == 1, call, patients, suffix=suffix, **bootstrap
        )
    return found


def _class_confusion(targets, predictions, decision, *, classes):
    called = metrics.decide(predictions["probs"], np.array(decision["thresholds"]))
    cells = metrics.confusion_matrix(targets["label"], called, len(classes))
    return {"classes": list(classes), "target_by_called": cells.tolist()}
