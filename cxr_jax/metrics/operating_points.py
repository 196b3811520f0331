"""Operating points of a classifier, and the agreement of its calls with the labels."""

import numpy as np

from cxr_jax.metrics.classification import of_classes
from cxr_jax.stats import bootstrap, contingency
from cxr_jax.stats.estimate import Estimate

SENSITIVITY = 0.95
AVERAGES = ("macro", "micro", "weighted")


def sensitive_thresholds(target, probs, sensitivity: float = SENSITIVITY) -> np.ndarray:
    """The highest threshold of each class that still finds that share of it: [K].

    target: [N], probs: [N, K], of the validation split, never the test split. 0, which
    calls everything, where a class does not occur.
    """
    target, probs = np.asarray(target), np.asarray(probs, np.float64)
    found = []
    for k in range(probs.shape[1]):
        own = np.sort(probs[target == k, k])[::-1]
        needed = int(np.ceil(len(own) * sensitivity - 1e-9))
        found.append(float(own[needed - 1]) if len(own) else 0.0)
    return np.array(found)


def operating_metrics(
    positive, called, weights, *, suffix: str = ""
) -> dict[str, Estimate]:
    """Sensitivity, specificity, predictive values and likelihood ratios of a call.

    positive, called: bool [N]. The predictive values (`ppv`, `npv`) are those at the
    prevalence of the split. n counts the images a figure rests on: the positives, the
    negatives, those called or not called, or all.
    """
    positive, called = np.asarray(positive, bool), np.asarray(called, bool)
    found = {}
    for name, hits, cases, missing in (
        ("sensitivity", called, positive, "no positives"),
        ("specificity", ~called, ~positive, "no negatives"),
        ("ppv", positive, called, "nothing is called"),
        ("npv", ~positive, ~called, "everything is called"),
    ):
        found[name + suffix] = bootstrap.share(hits, cases, weights, undefined=missing)
    tables = _tables(positive, called, 2, weights)
    both = positive, ~positive
    for name, call in (("lr_positive", 1), ("lr_negative", 0)):
        found[name + suffix] = bootstrap.of_rows(
            contingency.likelihood_ratio(tables, call),
            weights,
            both,
            undefined="infinite, or only one class is present",
        )
    return found


def classes_agreement(target, predicted, classes: int, weights) -> dict[str, Estimate]:
    """Agreement of the called class with the target over all classes.

    target, predicted: [N] whole 0..K-1. balanced_accuracy, kappa (Cohen's), mcc, and
    precision, recall and f1 as macro, micro and weighted averages (macro F1 apart, which
    `classify_metrics` has).
    """
    tables = _tables(target, predicted, classes, weights)
    values = {
        "balanced_accuracy": contingency.balanced_accuracy(tables),
        "kappa": contingency.kappa(tables),
        "mcc": contingency.matthews(tables),
    }
    for average in AVERAGES:
        values[f"{average}_precision"] = contingency.precision(tables, average)
        values[f"{average}_recall"] = contingency.recall(tables, average)
        if average != "macro":
            values[f"{average}_f1"] = contingency.f1(tables, average)
    reason = "the targets or the calls are all of one class"
    each = of_classes(target, classes)
    return {
        # Micro averages pool all images: a rare class weighs as little as it should.
        name: bootstrap.of_rows(
            found, weights, () if "micro" in name else each, undefined=reason
        )
        for name, found in values.items()
    }


def _tables(target, called, classes: int, weights):
    def flat(rows):
        return contingency.cells(target, called, classes, rows).reshape(len(rows), -1)

    return bootstrap.per_row(flat, weights).reshape(-1, classes, classes)
