"""Metrics of a classifier: two classes, or several one against the rest."""

import re
from functools import partial

import numpy as np

from cxr_jax.metrics import checks
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate

ONE_CLASS = "only one class is present"


def classify_metrics(
    target,
    probs,
    patient_ids,
    classes,
    thresholds,
    severity=None,
    severity_names=None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """All metrics of one split, with patient-clustered intervals.

    target: [N] whole 0..K-1. probs: [N, K]. patient_ids: [N]. classes: K names.
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

    n is the number of images a figure rests on: the positives for sensitivity, the
    negatives for specificity, all for the others.
    """
    target, probs = np.asarray(target), np.asarray(probs, np.float64)
    thresholds = np.asarray(thresholds, np.float64)
    images = len(target)
    checks.shape("target", target, (images,))
    checks.shape("probs", probs, (images, len(classes)))
    checks.shape("patient_ids", np.asarray(patient_ids), (images,))
    checks.shape("thresholds", thresholds, (len(classes),))
    checks.whole("target", target, len(classes))
    checks.finite("predicted probabilities", probs)

    counts = bootstrap.weights(patient_ids, resamples, seed)
    predicted = decide(probs, thresholds)
    metrics = {}

    def add(name, statistic, *values):
        metrics[name] = bootstrap.estimate(
            partial(statistic, *values), counts, undefined=ONE_CLASS
        )

    def add_share(name, hits, cases):
        metrics[name] = bootstrap.estimate(
            partial(weighted.ratio, hits & cases, cases),
            counts,
            n=int(cases.sum()),
            undefined="no images",
        )

    def add_one_class(k, suffix):
        positive, called = target == k, probs[:, k] >= thresholds[k]
        areas = bootstrap.replicates(
            partial(weighted.auroc, positive, probs[:, k]), counts
        )
        add(f"prevalence{suffix}", weighted.mean, positive)
        metrics[f"auroc{suffix}"] = bootstrap.summary(
            areas, images, undefined=ONE_CLASS
        )
        add(f"auprc{suffix}", weighted.average_precision, positive, probs[:, k])
        add_share(f"sensitivity{suffix}", called, positive)
        add_share(f"specificity{suffix}", ~called, ~positive)
        return areas

    add("accuracy", weighted.mean, predicted == target)
    add("macro_f1", partial(weighted.macro_f1, target, predicted, len(classes)))
    if len(classes) == 2:
        add_one_class(1, "")
    else:
        areas = [add_one_class(k, f"_{slug(name)}") for k, name in enumerate(classes)]
        absent = [name for k, name in enumerate(classes) if not (target == k).any()]
        metrics["auroc_macro"] = bootstrap.summary(
            np.mean(areas, axis=0),
            images,
            undefined=f"no image of {', '.join(absent)}" if absent else ONE_CLASS,
        )
    if severity is not None:
        severity = np.asarray(severity)
        checks.shape("severity", severity, (images,))
    if severity is not None and _grades(severity, target, len(classes)):
        for level, name in enumerate(severity_names):
            cases = severity == level
            if level == 0:
                add_share(f"specificity_severity_{slug(name)}", predicted == 0, cases)
            else:
                add_share(f"sensitivity_severity_{slug(name)}", predicted == 1, cases)
    return metrics


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


def decide(probs, thresholds) -> np.ndarray:
    """The class called for each image, [N]: by threshold for two, else the argmax."""
    probs = np.asarray(probs, np.float64)
    if probs.shape[1] == 2:
        return (probs[:, 1] >= thresholds[1]).astype(int)
    return probs.argmax(axis=1)


def confusion_matrix(target, predicted, classes: int) -> np.ndarray:
    """Counts [K, K]: rows are the target, columns the prediction."""
    target, predicted = np.asarray(target, int), np.asarray(predicted, int)
    cells = np.bincount(target * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def class_frequencies(train_target, classes: int) -> np.ndarray:
    """The predictor to beat: the shares of the classes in training, [K]."""
    train_target = np.asarray(train_target, int)
    return np.bincount(train_target, minlength=classes) / max(len(train_target), 1)


def majority_metrics(
    target,
    frequencies,
    patient_ids,
    classes,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """`classify_metrics` of the predictor that always gives `frequencies` [K]."""
    return classify_metrics(
        target,
        np.broadcast_to(frequencies, (len(target), len(classes))),
        patient_ids,
        classes,
        np.full(len(classes), 0.5),
        resamples=resamples,
        seed=seed,
    )


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
