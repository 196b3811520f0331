"""Metrics of some of the images, one by one, by scikit-learn, scipy or numpy.

What a loop over resamples calls, under the names that ours have. What none of them has
is left out: the intraclass correlation, calibration errors and slopes, and sets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from cxr_jax import metrics
from cxr_jax.stats import calibration, tempering
from tfds_builders.common.zones import LEVELS, ZONES

# {name of a metric: images [n] -> its value on them}
Loop = dict[str, Callable[[np.ndarray], float]]


def functions(targets, predictions, decision: dict[str, Any], names=()) -> Loop:
    """Metrics of a split as in an evaluation; names: of more than two classes."""
    if "scores" in targets:
        return _scores(targets["scores"], predictions["expected"])
    label, probs = targets["label"], predictions["probs"]
    thresholds = decision["thresholds"]
    found = _calls(label, metrics.decide(probs, thresholds))
    if probs.shape[1] == 2:
        found |= _one_class(label == 1, probs[:, 1], thresholds[1], "")
        return found | _two_classes(label == 1, probs, decision)
    for k, name in enumerate(names):
        found |= _one_class(label == k, probs[:, k], thresholds[k], f"_{name}")
    found["auroc_macro"] = lambda i: sk.roc_auc_score(
        label[i], probs[i], multi_class="ovr"
    )
    return found


def _calls(label, called) -> Loop:
    found: Loop = {
        "accuracy": lambda i: sk.accuracy_score(label[i], called[i]),
        "balanced_accuracy": lambda i: sk.balanced_accuracy_score(label[i], called[i]),
        "kappa": lambda i: sk.cohen_kappa_score(label[i], called[i]),
        "mcc": lambda i: sk.matthews_corrcoef(label[i], called[i]),
    }
    for average in ("macro", "micro", "weighted"):
        for name, score in (
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        ):
            found[f"{average}_{name}"] = partial(_of, score, label, called, average)
    return found


def _of(score, label, called, average, i) -> float:
    return score(label[i], called[i], average=average, zero_division=0)


def _one_class(positive, scores, threshold, suffix) -> Loop:
    called = scores >= threshold
    return {
        f"prevalence{suffix}": lambda i: np.mean(positive[i]),
        f"auroc{suffix}": lambda i: sk.roc_auc_score(positive[i], scores[i]),
        f"auprc{suffix}": lambda i: sk.average_precision_score(positive[i], scores[i]),
        f"sensitivity{suffix}": lambda i: sk.recall_score(positive[i], called[i]),
        f"specificity{suffix}": lambda i: sk.recall_score(
            positive[i], called[i], pos_label=False
        ),
    }


def _two_classes(positive, probs, decision) -> Loop:
    fitted, scores = decision["confidence"], probs[:, 1]
    tempered = tempering.tempered(probs, fitted["temperature"])[:, 1]
    scaled = calibration.vector_scaled(probs, **fitted["vector"])[:, 1]
    found: Loop = {}
    for suffix, each in (("", scores), ("_tempered", tempered), ("_vector", scaled)):
        found[f"brier{suffix}"] = partial(_brier, positive, each)
    for suffix, key in (("", "thresholds"), ("_at95", "sensitive_thresholds")):
        called = scores >= decision[key][1]
        found |= {
            f"{name}{suffix}": partial(score, positive, called)
            for name, score in (
                ("sensitivity", _recall),
                ("specificity", partial(_recall, pos_label=False)),
                ("ppv", _precision),
                ("npv", partial(_precision, pos_label=False)),
                ("lr_positive", partial(_ratio, 0)),
                ("lr_negative", partial(_ratio, 1)),
            )
        }
    return found


def _brier(positive, scores, i) -> float:
    return sk.brier_score_loss(positive[i], scores[i])


def _recall(positive, called, i, pos_label=True) -> float:
    return sk.recall_score(positive[i], called[i], pos_label=pos_label)


def _precision(positive, called, i, pos_label=True) -> float:
    return sk.precision_score(positive[i], called[i], pos_label=pos_label)


def _ratio(which: int, positive, called, i) -> float:
    return sk.class_likelihood_ratios(positive[i], called[i])[which]


def _scores(target, expected) -> Loop:
    """Metrics of zones, pooled and single, of sides and of the whole."""
    found: Loop = {}
    parts = {"zone": (target, expected, LEVELS - 1)}
    for z, zone in enumerate(ZONES):
        parts[f"zone_{zone}"] = (target[:, z], expected[:, z], LEVELS - 1)
    whole = {"right": slice(0, 3), "left": slice(3, 6), "global": slice(None)}
    for name, some in whole.items():
        sums = target[:, some].sum(axis=1), expected[:, some].sum(axis=1)
        parts[name] = (*sums, (LEVELS - 1) * target[:, some].shape[1])
    for name, (true, said, top) in parts.items():
        found |= _of_part(name, true, said, top)
    return found


def _of_part(name, true, said, top) -> Loop:
    level = metrics.rounded(said, top)

    def both(i):
        return true[i].ravel(), said[i].ravel()

    def levels(i):
        return true[i].ravel(), level[i].ravel()

    found: Loop = {
        f"mae_{name}": lambda i: sk.mean_absolute_error(*both(i)),
        f"rmse_{name}": lambda i: sk.root_mean_squared_error(*both(i)),
        f"bias_{name}": lambda i: np.mean(said[i] - true[i]),
        f"spearman_{name}": lambda i: stats.spearmanr(*both(i)).statistic,
    }
    if name not in ("right", "left"):
        found[f"kappa_{name}"] = lambda i: sk.cohen_kappa_score(
            *levels(i), weights="quadratic"
        )
    if name in ("zone", "global"):
        found |= {
            f"sd_{name}": lambda i: np.std(said[i] - true[i]),
            f"pearson_{name}": lambda i: stats.pearsonr(*both(i)).statistic,
            f"exact_{name}": lambda i: np.mean(level[i] == true[i]),
            f"within_one_{name}": lambda i: np.mean(np.abs(level[i] - true[i]) <= 1),
        }
    return found
