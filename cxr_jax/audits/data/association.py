"""How strongly an attribute is associated with the label, whatever their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from cxr_jax.audits.data.target import Target
from cxr_jax.data.attributes import Attribute
from cxr_jax.stats import weighted

_PERMUTATIONS = 9999
NOT_ENOUGH = "fewer than two different values"


class Association(NamedTuple):
    """A measure from 0, unrelated, to 1, the one is known from the other.

    Attributes:
      measure: "Cramer's V", 'eta', 'epsilon' or '|Spearman|'.
      value: for V with the bias correction, for epsilon the root of epsilon squared.
      plain: V without the correction, eta, or Spearman's rho with its sign.
      p: of the hypothesis that they are unrelated, as if all images were of
        different patients; NaN where undefined.
      test: what p is of.
      n: images with both values known.
      auroc: of a number that is taken for a predictor of the second of two classes.
      reason: why there is no value.
    """

    measure: str
    value: float
    plain: float
    p: float
    test: str
    n: int
    auroc: float = float("nan")
    reason: str = ""


def associate(attribute: Attribute, target: Target, seed: int = 0) -> Association:
    """The measure that fits both types, over the images with a label.

    Of a class: Cramer's V with categories, eta with numbers. Of a score: epsilon with
    categories, Spearman's correlation with numbers. 'missing' is a category; a number
    that is missing is left out.
    """
    known = target.index >= 0
    if attribute.numbers is not None:
        known = known & ~attribute.missing
        numbers = attribute.numbers[known]
        if target.score is None:
            return eta(numbers, target.index[known])
        return spearman(numbers, target.score[known])
    codes = attribute.codes[known]
    if target.score is None:
        return cramers_v(codes, target.index[known], seed)
    return epsilon(target.score[known], codes)


def rank(
    attributes: Sequence[Attribute], target: Target, seed: int = 0
) -> list[tuple[Attribute, Association]]:
    """Each attribute with its association, the strongest first; none without a label."""
    if not (target.index >= 0).any():
        return []
    found = [(each, associate(each, target, seed)) for each in attributes]
    strength = {each.name: np.nan_to_num(a.value, nan=-1) for each, a in found}
    return sorted(found, key=lambda pair: (-strength[pair[0].name], pair[0].name))


def cramers_v(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Association:
    """Of two categorical variables: int [N] codes each.

    The corrected V is that of Bergsma 2013, doi 10.1016/j.jkss.2012.10.002. Where
    more than a fifth of the expected counts are below 5, or one is below 1 (Cochran
    1954), p is from 9,999 random tables with the same margins.
    """
    table = _crossed(x, y)
    if min(table.shape) < 2:
        return _undefined("Cramer's V", len(x))
    n, (rows, columns) = len(x), table.shape
    found = stats.chi2_contingency(table, correction=False)
    chi2, p, expected = found.statistic, found.pvalue, found.expected_freq
    test = "chi-square"
    if (expected < 5).mean() > 0.2 or expected.min() < 1:
        p, test = _permuted(table, expected, chi2, seed), "permutation"
    # Rounding may lift it above what is possible.
    plain = min(1.0, np.sqrt(chi2 / n / (min(rows, columns) - 1)))
    phi2 = max(0.0, chi2 / n - (rows - 1) * (columns - 1) / (n - 1))
    rows -= (rows - 1) ** 2 / (n - 1)
    columns -= (columns - 1) ** 2 / (n - 1)
    least = min(rows, columns) - 1
    value = min(1.0, np.sqrt(phi2 / least)) if least > 0 else 0.0
    return Association("Cramer's V", float(value), float(plain), float(p), test, n)


def eta(number: np.ndarray, group: np.ndarray) -> Association:
    """Of a number [N] and classes, int [N]: the correlation ratio (Pearson 1905).

    Eta squared is the share of the variance that lies between the classes; p is of
    the Kruskal-Wallis test. Two classes have an AUROC too.
    """
    parts = _parts(number, group)
    if len(parts) < 2 or np.ptp(number) == 0:
        return _undefined("eta", len(number))
    mean = number.mean()
    between = sum(len(part) * (part.mean() - mean) ** 2 for part in parts)
    value = float(np.sqrt(between / ((number - mean) ** 2).sum()))
    auroc = float("nan")
    if len(parts) == 2:
        positive = group == group.max()
        auroc = float(weighted.auroc(positive, number, np.ones((1, len(number))))[0])
    p = float(stats.kruskal(*parts).pvalue)
    value = min(value, 1.0)
    return Association("eta", value, value, p, "Kruskal-Wallis", len(number), auroc)


def epsilon(score: np.ndarray, group: np.ndarray) -> Association:
    """Of a score [N] and categories, int [N]: by ranks, for scores are ordinal.

    The root of Kelley's epsilon squared over the ranks (Kelley 1935), which unlike
    eta squared is not above 0 for unrelated values; below 0 it is taken as 0. `plain`
    is the root of eta squared of the ranks, H / (n - 1).
    """
    parts, n = _parts(score, group), len(score)
    if len(parts) < 2 or np.ptp(score) == 0 or n <= len(parts):
        return _undefined("epsilon", n)
    found = stats.kruskal(*parts)
    ratio = found.statistic / (n - 1)
    corrected = max(0.0, 1 - (1 - ratio) * (n - 1) / (n - len(parts)))
    return Association(
        "epsilon",
        float(np.sqrt(corrected)),
        float(np.sqrt(ratio)),
        float(found.pvalue),
        "Kruskal-Wallis",
        n,
    )


def spearman(x: np.ndarray, y: np.ndarray) -> Association:
    """Of two numbers [N]: the correlation of their ranks."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return _undefined("|Spearman|", len(x))
    found = stats.spearmanr(x, y)
    rho, p = float(found.statistic), float(found.pvalue)
    return Association("|Spearman|", abs(rho), rho, p, "Spearman", len(x))


def _undefined(measure: str, n: int) -> Association:
    nan = float("nan")
    return Association(measure, nan, nan, nan, "", n, reason=NOT_ENOUGH)


def _crossed(x, y) -> np.ndarray:
    """Counts of the values that occur: [values of x, values of y]."""
    (ours, x), (theirs, y) = (np.unique(v, return_inverse=True) for v in (x, y))
    cells = np.bincount(x * len(theirs) + y, minlength=len(ours) * len(theirs))
    return cells.reshape(len(ours), len(theirs))


def _permuted(table, expected, chi2, seed) -> float:
    tables = stats.random_table(table.sum(axis=1), table.sum(axis=0)).rvs(
        _PERMUTATIONS, random_state=np.random.default_rng(seed)
    )
    drawn = ((tables - expected) ** 2 / expected).sum(axis=(1, 2))
    return (1 + (drawn >= chi2 * (1 - 1e-9)).sum()) / (1 + _PERMUTATIONS)


def _parts(number, group) -> list[np.ndarray]:
    return [number[group == value] for value in np.unique(group)]
