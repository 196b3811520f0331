"""Statistics of K-by-K tables [R, K, K] -> [R]: rows are targets, columns calls.

A table for every row of the weights [R, n], which says how often each image counts.
What is not defined for a table is NaN.
"""

import numpy as np


def cells(target, predicted, classes: int, weights):
    """Tables [R, K, K] of whole targets and calls [n]."""
    cell = np.asarray(target, int) * classes + np.asarray(predicted, int)
    each = cell[:, None] == np.arange(classes**2)
    return (weights @ each.astype(np.float64)).reshape(-1, classes, classes)


def precision(tables, average: str):
    """Share of those called a class that are of it, over the classes; see `_average`."""
    return _average(tables, tables.sum(axis=1), average)


def recall(tables, average: str):
    """Share of a class that is called, over the classes; see `_average`."""
    return _average(tables, tables.sum(axis=2), average)


def f1(tables, average: str):
    """Harmonic mean of precision and recall, over the classes; see `_average`."""
    return _average(tables, (tables.sum(axis=1) + tables.sum(axis=2)) / 2, average)


def balanced_accuracy(tables):
    """Mean recall of the classes that occur as a target."""
    cases = tables.sum(axis=2)
    share = _share(_hits(tables), cases)
    return share.sum(axis=1) / (cases > 0).sum(axis=1)


def kappa(tables):
    """Agreement beyond chance (Cohen 1960, doi 10.1177/001316446002000104)."""
    total = tables.sum(axis=(1, 2))
    observed = _hits(tables).sum(axis=1) / total
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / total**2
    defined = chance < 1
    return np.where(
        defined, (observed - chance) / np.where(defined, 1 - chance, 1), np.nan
    )


def matthews(tables):
    """Matthews' correlation for K classes.

    Gorodkin 2004, doi 10.1016/j.compbiolchem.2004.09.006. NaN where the targets or the
    calls are all of one class.
    """
    total = tables.sum(axis=(1, 2))
    called, cases = tables.sum(axis=1), tables.sum(axis=2)
    above = _hits(tables).sum(axis=1) * total - (called * cases).sum(axis=1)
    spread = [total**2 - (counts**2).sum(axis=1) for counts in (called, cases)]
    below = np.sqrt(spread[0] * spread[1])
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def likelihood_ratio(tables, called: int):
    """How much a call changes the odds of class 1, of two.

    Sensitivity / (1 - specificity) for called = 1, (1 - sensitivity) / specificity for
    0 (Deeks and Altman 2004, doi 10.1136/bmj.329.7458.168). NaN where it would be
    infinite.
    """
    shares = _share(tables[:, :, called], tables.sum(axis=2))
    defined = (shares[:, 0] > 0) & (tables.sum(axis=2) > 0).all(axis=1)
    return np.where(defined, shares[:, 1] / np.where(defined, shares[:, 0], 1), np.nan)


def _hits(tables):
    return np.einsum("rkk->rk", tables)


def _share(above, below):
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _average(tables, below, average: str):
    """Over classes: 'macro' all alike, 'weighted' by their cases, 'micro' pooled.

    A class that occurs neither as a target nor as a call is left out; one that is never
    called has precision 0, as in scikit-learn.
    """
    hits, cases = _hits(tables), tables.sum(axis=2)
    if average == "micro":
        return hits.sum(axis=1) / below.sum(axis=1)
    shares = _share(hits, below)
    if average == "weighted":
        return (shares * cases).sum(axis=1) / cases.sum(axis=1)
    occurs = (cases + tables.sum(axis=1)) > 0
    return (shares * occurs).sum(axis=1) / occurs.sum(axis=1)
