"""Metrics of a classifier: two classes, or several one against the rest."""

import re
from collections.abc import Sequence
from functools import partial

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.stats import bootstrap, contingency, probability, weighted
from cxr_jax.stats.bootstrap import Statistic
from cxr_jax.stats.calling import decide
from cxr_jax.stats.estimate import Estimate
from cxr_jax.stats.patients import Rests

ONE_CLASS = "only one class is present"


def classify_metrics(
    target,
    probs,
    weights,
    classes,
    thresholds,
    severity=None,
    severity_names=(),
) -> dict[str, Estimate]:
    """All metrics of one split.

    target: [N] whole 0..K-1. probs: [N, K]. weights: [resamples + 1, N], of
      `stats.bootstrap`. classes: K names.
    thresholds: [K] from `choose_thresholds` on the validation split.
    severity: [N] index into severity_names, -1 unknown; severity_names[0] is the
      level of the negatives, the others those of the positives.

    Two classes (index 1 is the positive one): prevalence, auroc, auprc, and at its
    threshold accuracy, macro_f1, sensitivity, specificity. By severity:
    specificity_severity_<name> for level 0 and sensitivity_severity_<name> for the
    others, over the images of that level; left out where the levels are not graded
    from class 0 to class 1: more classes, or an image whose target says otherwise.

    More classes: accuracy and macro_f1 of the most probable class, auroc_macro (mean
    over classes), and for each class, one against the rest: prevalence_<class>,
    auroc_<class>, auprc_<class>, and at its threshold sensitivity_<class> and
    specificity_<class>.

    n is the number of images that a figure is computed from: the positives for
    sensitivity, the negatives for specificity, all for the others. Areas and means over
    classes have an interval only where each class has enough patients (`patients`).
    """
    target, probs = np.asarray(target), np.asarray(probs, np.float64)
    thresholds = np.asarray(thresholds, np.float64)
    images = len(target)
    checks.shape("target", target, (images,))
    checks.shape("probs", probs, (images, len(classes)))
    checks.shape("weights", weights, (len(weights), images))
    checks.shape("thresholds", thresholds, (len(classes),))
    checks.whole("target", target, len(classes))
    checks.finite("predicted probabilities", probs)

    predicted = decide(probs, thresholds)
    metrics = {}

    def add(name, statistic, undefined=ONE_CLASS):
        metrics[name] = bootstrap.estimate(statistic, weights, undefined=undefined)

    def add_share(name, hits, cases):
        metrics[name] = bootstrap.share(hits, cases, weights)

    def add_one_class(k, suffix):
        positive, called = target == k, probs[:, k] >= thresholds[k]
        metrics[f"prevalence{suffix}"] = bootstrap.mean(positive, weights)
        for name, area in (
            ("auroc", weighted.auroc),
            ("auprc", weighted.average_precision),
        ):
            statistic = partial(area, positive, probs[:, k])
            is_area = name == "auroc"
            both = positive, ~positive
            add(name + suffix, Rests(statistic, both, is_area=is_area))
        add_share(f"sensitivity{suffix}", called, positive)
        add_share(f"specificity{suffix}", ~called, ~positive)

    metrics["accuracy"] = bootstrap.mean(predicted == target, weights)
    add("macro_f1", macro_f1(target, predicted, len(classes)))
    if len(classes) == 2:
        add_one_class(1, "")
    else:
        for k, name in enumerate(classes):
            add_one_class(k, f"_{slug(name)}")
        absent = [name for k, name in enumerate(classes) if not (target == k).any()]
        why = f"no image of {', '.join(absent)}" if absent else ONE_CLASS
        add("auroc_macro", macro_auroc(target, probs), why)
    if severity is not None:
        severity = np.asarray(severity)
        checks.shape("severity", severity, (images,))
    if severity is not None and _grades(severity, target, len(classes)):
        for level, name in enumerate(severity_names or ()):
            cases = severity == level
            if level == 0:
                add_share(f"specificity_severity_{slug(name)}", predicted == 0, cases)
            else:
                add_share(f"sensitivity_severity_{slug(name)}", predicted == 1, cases)
    return metrics


def names_of_class(family: str, classes: Sequence[str]) -> list[str]:
    """'auroc' of two classes, 'auroc_<class>' of each of several."""
    if len(classes) == 2:
        return [family]
    return [f"{family}_{slug(name)}" for name in classes]


def without_threshold(classes: Sequence[str]) -> set[str]:
    """Those of `classify_metrics` that rest on no threshold."""
    families = ("prevalence", "auroc", "auprc")
    found = {name for each in families for name in names_of_class(each, classes)}
    return found if len(classes) == 2 else found | {"auroc_macro"}


def class_statistics(target, probs, called) -> dict[str, Statistic]:
    """Those by which runs and groups are compared.

    target: [N] whole classes; probs: [N, K]; called: [N], of `decide`.
    """
    classes = probs.shape[1]

    def balanced(weights):
        tables = contingency.cells(target, called, classes, weights)
        return contingency.balanced_accuracy(tables)

    shared = {
        "balanced_accuracy": Rests(balanced, of_classes(target, classes)),
        "macro_f1": macro_f1(target, called, classes),
        "brier": partial(probability.brier, target, probs),
    }
    if classes > 2:
        return {"auroc_macro": macro_auroc(target, probs), **shared}
    positive, scores = target == 1, probs[:, 1]
    both = positive, ~positive

    def share(hits, cases):
        return Rests(partial(weighted.ratio, hits & cases, cases), (cases,), True)

    return {
        "auroc": Rests(partial(weighted.auroc, positive, scores), both, is_area=True),
        "auprc": Rests(partial(weighted.average_precision, positive, scores), both),
        "sensitivity": share(called == 1, positive),
        "specificity": share(called == 0, ~positive),
        **shared,
    }


def choose_thresholds(target, probs) -> np.ndarray:
    """The threshold of each class that maximises sensitivity + specificity: [K].

    Youden 1950. target: [N], probs: [N, K], of the validation split, never the test
    split. A probability at the threshold or above calls the class. The threshold
    lies midway between two neighbouring probabilities; of equally good ones the
    lowest, the most sensitive, is taken. 0.5 where no threshold is better than
    chance, or only one class is present.
    """
    target, probs = np.asarray(target), np.asarray(probs, np.float64)
    checks.finite("predicted probabilities", probs)
    return np.array([_youden(target == k, probs[:, k]) for k in range(probs.shape[1])])


def confusion_matrix(target, predicted, classes: int) -> np.ndarray:
    """Counts [K, K]: rows are the target, columns the prediction."""
    target, predicted = np.asarray(target, int), np.asarray(predicted, int)
    cells = np.bincount(target * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def class_frequencies(train_target, classes: int) -> np.ndarray:
    """The constant predictor: the shares of the classes in training, [K]."""
    train_target = np.asarray(train_target, int)
    return np.bincount(train_target, minlength=classes) / max(len(train_target), 1)


def majority_metrics(target, frequencies, weights) -> dict[str, Estimate]:
    """Accuracy and macro F1 of the predictor that always gives `frequencies` [K]."""
    classes = len(frequencies)
    probs = np.broadcast_to(frequencies, (len(target), classes))
    called = decide(probs, np.full(classes, 0.5))
    score = macro_f1(target, called, classes)
    return {
        "accuracy_constant": bootstrap.mean(called == target, weights),
        "macro_f1_constant": bootstrap.estimate(score, weights, undefined=ONE_CLASS),
    }


def macro_f1(target, called, classes: int) -> Rests:
    """Mean F1 over the classes that occur, as a target or as a call."""

    def statistic(weights):
        tables = contingency.cells(target, called, classes, weights)
        return contingency.f1(tables, "macro")

    return Rests(statistic, of_classes(target, classes))


def macro_auroc(target, probs) -> Rests:
    """Mean area over the classes, each against the rest."""
    each = of_classes(target, probs.shape[1])

    def statistic(weights):
        areas = [
            weighted.auroc(positive, probs[:, k], weights)
            for k, positive in enumerate(each)
        ]
        return np.mean(areas, axis=0)

    on = (*each, *(~positive for positive in each))
    return Rests(statistic, on, is_area=True)


def of_classes(target, classes: int) -> tuple[np.ndarray, ...]:
    """Which images are of each class: bool [n] of every class."""
    return tuple(np.asarray(target) == k for k in range(classes))


def slug(name: str) -> str:
    """A class name as part of a metric's name: 'Viral Pneumonia' Viral_Pneumonia."""
    return re.sub(r"[^\w.+-]+", "_", name)


def _grades(severity, target, classes: int) -> bool:
    """Whether level 0 is class 0 and every level above is class 1, of two classes."""
    known = severity >= 0
    return classes == 2 and bool((target[known] == (severity > 0)[known]).all())


def _youden(positive, scores) -> float:
    order = np.argsort(scores, kind="stable")
    positive, scores = positive[order], scores[order]
    positives = int(positive.sum())
    negatives = len(positive) - positives
    cuts = np.flatnonzero(scores[1:] > scores[:-1])  # between i and i + 1
    missed = np.cumsum(positive)[cuts]
    # Sensitivity + specificity - 1 times positives * negatives, in whole numbers, so
    # that equally good cuts are exactly equal.
    gain = (cuts + 1 - missed) * positives - missed * negatives
    if not len(cuts) or gain.max() <= 0:
        return 0.5
    cut = cuts[np.argmax(gain)]
    middle = (scores[cut] + scores[cut + 1]) / 2
    # Two neighbouring floats have no number between them.
    return float(middle if middle > scores[cut] else scores[cut + 1])
