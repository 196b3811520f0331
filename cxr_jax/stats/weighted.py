"""Statistics as functions of weights: arrays [n], weights [R, n] -> [R].

Row r of the weights says how often each image counts. Where a statistic is not
defined for a row it is NaN. Values may also be [n, Z]: the Z zones of an image are
then pooled, each with the weight of its image.
"""

from typing import NamedTuple

import numpy as np

# A weighted variance below this share of the squared range is rounding error.
TINY = 1e-12


def mean(values, weights):
    """Weighted mean."""
    return weights @ _mean_of_zones(values) / weights.sum(axis=1)


def ratio(numerator, denominator, weights):
    """Weighted sum over weighted sum, such as hits over cases."""
    below = weights @ denominator.astype(np.float64)
    above = weights @ numerator.astype(np.float64)
    return np.where(below > 0, above / below, np.nan)


def standard_deviation(values, weights, lost: int = 0):
    """Weighted standard deviation, of the population (divided by n).

    lost: degrees of freedom, 1 for that of a sample (divided by n - 1); NaN where no
    more cases than that have weight.
    """
    zones = np.size(values) // max(len(values), 1)
    values = values - np.mean(values)
    variance = mean(values**2, weights) - mean(values, weights) ** 2
    cases = weights.sum(axis=1) * zones
    larger = np.full_like(cases, np.nan)
    np.divide(cases, cases - lost, out=larger, where=cases > lost)
    return np.sqrt(np.maximum(variance * larger, 0))


def root_mean_square(values, weights):
    """Square root of the weighted mean square."""
    return np.sqrt(mean(np.square(np.asarray(values, np.float64)), weights))


def pearson(x, y, weights):
    """Weighted correlation of Pearson; NaN where either is constant."""
    (x, range_x), (y, range_y) = _centred(x), _centred(y)
    mean_x, mean_y = mean(x, weights), mean(y, weights)
    var_x = mean(x * x, weights) - mean_x**2
    var_y = mean(y * y, weights) - mean_y**2
    covariance = mean(x * y, weights) - mean_x * mean_y
    defined = (var_x > TINY * range_x**2) & (var_y > TINY * range_y**2)
    return np.where(defined, covariance / np.sqrt(var_x * var_y), np.nan)


def spearman(x, y, weights):
    """Weighted correlation of ranks (Spearman 1904), ties at their middle rank.

    The ranks are those of each row: an image drawn twice takes two places. x, y: [n],
    or [n, Z], whose zones then rank among each other. Fastest where x has few levels.
    """
    x, y = (np.asarray(values, np.float64) for values in (x, y))
    zones = x.size // max(len(x), 1)
    order = np.argsort(y.ravel(), kind="stable")
    weights = np.take(weights, order // zones, axis=1)
    x, y = x.ravel()[order], y.ravel()[order]
    levels, level = np.unique(x, return_inverse=True)
    belongs = (level[:, None] == np.arange(len(levels))).astype(np.float64)
    cases = weights @ belongs
    total = weights.sum(axis=1)
    middle = (total[:, None] + 1) / 2  # the mean of all ranks
    of_x = np.cumsum(cases, axis=1) - cases / 2 + 0.5 - middle  # of each level
    of_y = _ranks_in_order(y, weights) - middle
    pulled = weights * of_y
    together = ((pulled @ belongs) * of_x).sum(axis=1)
    squares = (cases * of_x**2).sum(axis=1) * np.einsum("rn,rn->r", pulled, of_y)
    below = np.sqrt(squares)
    return np.where(below > TINY * total**3, together / below, np.nan)


def intraclass(ratings, weights):
    """ICC(2,1): absolute agreement of single readers drawn at random.

    Shrout and Fleiss 1979 (doi 10.1037/0033-2909.86.2.420), two-way random effects.
    ratings: [n, k] of k readers; [n, Z, k] pools zones. NaN where nothing varies.
    """
    ratings = np.asarray(ratings, np.float64)
    readers = ratings.shape[-1]
    ratings = ratings - ratings.mean()
    per_case = ratings.reshape(len(ratings), -1, readers)
    zones = per_case.shape[1]
    cases = weights.sum(axis=1) * zones

    def total(values):  # [n, Z] -> sum over cases, [R]
        return weights @ values.sum(axis=1)

    of_reader = np.stack([total(per_case[..., k]) for k in range(readers)], axis=1)
    grand = of_reader.sum(axis=1) / (readers * cases)
    all_squares = total((per_case**2).sum(axis=2)) - readers * cases * grand**2
    of_cases = readers * total(per_case.mean(axis=2) ** 2) - readers * cases * grand**2
    of_readers = (of_reader**2).sum(axis=1) / cases - readers * cases * grand**2
    rest = (all_squares - of_cases - of_readers) / ((cases - 1) * (readers - 1))
    between_cases = of_cases / (cases - 1)
    between_readers = of_readers / (readers - 1)
    below = (
        between_cases
        + (readers - 1) * rest
        + readers * (between_readers - rest) / cases
    )
    defined = all_squares > TINY * cases * np.square(ratings).max(initial=0)
    return np.where(defined, (between_cases - rest) / below, np.nan)


def quadratic_kappa(x, y, weights):
    """Cohen's kappa with quadratic weights, for whole-number scores.

    Cohen 1968, doi 10.1037/h0026256. With the weights (i - j)^2 the observed
    disagreement is E[(x - y)^2] and that of chance E[x^2] + E[y^2] - 2 E[x] E[y], so
    that no table is needed. NaN where both are the same constant.
    """
    centre = np.rint(x.mean())
    x, y = x - centre, y - centre
    observed = mean((x - y) ** 2, weights)
    squares = mean(x * x + y * y, weights)
    chance = squares - 2 * mean(x, weights) * mean(y, weights)
    defined = chance > TINY * max((x * x).max(), (y * y).max())
    return np.where(defined, 1 - observed / chance, np.nan)


class Ranking(NamedTuple):
    """What `area` needs of scores, sorted once for any number of weights.

    Attributes:
      positives, negatives: int, the images of each class by falling score.
      higher, reached: of each positive, how many negatives are scored higher, and as
        high or higher.
    """

    positives: np.ndarray
    negatives: np.ndarray
    higher: np.ndarray
    reached: np.ndarray


def rank(positive, scores) -> Ranking:
    """Sorts the scores [n] of two classes; positive: bool [n]."""
    positives, negatives = _falling(positive, scores)
    higher, reached = (
        np.searchsorted(negatives.keys, positives.keys, side)
        for side in ("left", "right")
    )
    return Ranking(positives.images, negatives.images, higher, reached)


def auroc(positive, scores, weights):
    """Area under the ROC curve: P(score of a positive > of a negative), ties half.

    positive: bool [n]. NaN where only one class has weight.
    """
    return area(rank(positive, scores), weights)[0]


def area(ranking: Ranking, weights):
    """`auroc`, and the weight of all pairs that it is a share of: [R] each."""
    own = np.take(weights, ranking.positives, axis=1)
    above, _ = _cumulative(ranking.negatives, weights)
    lost = np.take(above, ranking.higher, axis=1)
    lost += np.take(above, ranking.reached, axis=1)
    lost = np.einsum("rp,rp->r", own, lost) / 2
    pairs = own.sum(axis=1) * above[:, -1]
    return np.where(pairs > 0, 1 - lost / pairs, np.nan), pairs


def average_precision(positive, scores, weights):
    """Area under the precision-recall curve as the step-wise sum (no interpolation).

    Sum over falling thresholds of (rise in recall) * precision, as in scikit-learn.
    NaN where only one class has weight.
    """
    positives, negatives = _falling(positive, scores)
    hits, own = _cumulative(positives.images, weights)
    alarms, _ = _cumulative(negatives.images, weights)
    defined = (hits[:, -1] > 0) & (alarms[:, -1] > 0)
    total = hits[:, -1]
    # At the threshold of each positive: what is scored as high or higher.
    reached = [
        np.searchsorted(ranked.keys, positives.keys, "right")
        for ranked in (positives, negatives)
    ]
    hits = np.take(hits, reached[0], axis=1)
    alarms = np.take(alarms, reached[1], axis=1)
    called = hits + alarms
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    area = np.einsum("rp,rp->r", own, precision) / total
    return np.where(defined, area, np.nan)


def _mean_of_zones(values):
    values = np.asarray(values, np.float64)
    return values.reshape(len(values), -1).mean(axis=1)


def _centred(values):
    """Values minus their mean, and their range: infinite where that is rounding error."""
    values = np.asarray(values, np.float64)
    spread = np.ptp(values)
    constant = spread <= TINY * np.abs(values).max()
    return values - values.mean(), np.inf if constant else spread


def _ranks_in_order(values, weights):
    """Middle ranks [R, n] of rising values, an image counting as often as its weight."""
    sums = np.cumsum(weights, axis=1)
    first = np.searchsorted(values, values, "left")
    last = np.searchsorted(values, values, "right") - 1
    if np.array_equal(first, last):  # no ties
        return sums - weights / 2 + 0.5
    before = np.take(sums, first, axis=1) - np.take(weights, first, axis=1)
    return (before + np.take(sums, last, axis=1) + 1) / 2


class _Ranked(NamedTuple):
    """Images of one class by falling score; keys are the scores with the sign turned."""

    images: np.ndarray
    keys: np.ndarray


def _falling(positive, scores) -> tuple[_Ranked, _Ranked]:
    """Positives and negatives, each ranked by falling score."""
    ranked = []
    for images in (np.flatnonzero(positive), np.flatnonzero(~positive)):
        images = images[np.argsort(-scores[images], kind="stable")]
        ranked.append(_Ranked(images, -scores[images]))
    return tuple(ranked)


def _cumulative(images, weights):
    """Weight of the first 0, 1, .. m of these images, [R, m + 1], and of each, [R, m]."""
    own = np.take(weights, images, axis=1)
    sums = np.zeros((len(own), own.shape[1] + 1))
    np.cumsum(own, axis=1, out=sums[:, 1:])
    return sums, own
