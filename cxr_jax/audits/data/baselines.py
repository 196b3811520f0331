"""How far one gets without looking at a lung.

DeGrave et al. 2021, doi 10.1038/s42256-021-00338-7: a classifier may learn where a
film comes from instead of what it shows. What these models reach is what a network
may reach for the wrong reasons; it may reach more. They are extremely randomised
trees (Geurts et al. 2006, doi 10.1007/s10994-006-6226-1): linear regression misses
much of what the border and its histogram tell. The histogram of a whole film is one of
lungs too: on opacities alone it tells the classes apart, so like the thumbnail it is
there for comparison only.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.tree import ExtraTreeClassifier

from cxr_jax.audits.data.target import Target
from cxr_jax.data import attributes, fingerprints
from cxr_jax.data.attributes import Attribute
from cxr_jax.data.fingerprints import Pictures
from cxr_jax.stats import bootstrap, significance, weighted
from cxr_jax.stats import patients as stats_patients
from cxr_jax.stats.estimate import Estimate, undefined
from tfds_builders.common import splits

# Of each class, for a figure that is worth its interval.
LEAST_IMAGES, LEAST_GROUPS = 10, 5
_LEAST = f"{LEAST_IMAGES} images of {LEAST_GROUPS} patients"
_UNDEFINED = "no fold holds images of both kinds"
_TREES = 100
_LEAF = 3  # images at least
_DRAWN = 4000  # images at most for a tree: more cost time and change little


class Baseline(NamedTuple):
    """What is reached on one kind of feature.

    Attributes:
      name: 'border', 'border_histogram', 'size', 'metadata', 'histogram' or 'thumbnail'.
      sees: what it is given, in words.
      auroc: of the second of two classes, or the mean over classes, one against the
        rest.
      by_class: {class: Estimate}, one against the rest; of two classes, the second.
      p: of the area being 0.5, not corrected for how many baselines there are.
    """

    name: str
    sees: str
    auroc: Estimate
    by_class: dict[str, Estimate]
    p: float = float("nan")

    @property
    def sees_lung(self) -> bool:
        """It does, if coarsely: it is there for comparison."""
        return self.name in ("histogram", "thumbnail")


def groups_of(patient_ids, copies: list[tuple[int, int]]) -> np.ndarray:
    """The group of each image [N] that folds and resamples must not tear apart.

    It is the patient, or the patients that share copies, under the smallest name; so
    without copies the folds of `splits.fold_of` are those of the dataset.

    Args:
      patient_ids: [N].
      copies: numbers of two images each.
    """
    patients, patient = np.unique(np.asarray(patient_ids), return_inverse=True)
    ends = patient[np.array(copies, int).reshape(-1, 2)].T
    shape = (len(patients), len(patients))
    graph = coo_array((np.ones(ends.shape[1], bool), tuple(ends)), shape=shape)
    _, component = connected_components(graph, directed=False)
    # The patients are sorted, so the first of a component is the smallest.
    _, smallest = np.unique(component, return_index=True)
    return patients[smallest[component]][patient]


def run(
    target: Target,
    shown: Pictures,
    metadata: list[Attribute],
    sizes: list[Attribute],
    groups: np.ndarray,
    resamples: int,
    seed: int,
) -> list[Baseline]:
    """The AUROC of every baseline, from predictions for groups that were held out.

    Args:
      target: of N images; those without a label are left out.
      shown: the pictures.
      metadata, sizes: attributes from the table, and of the stored picture.
      groups: of `groups_of`.
      resamples, seed: of the bootstrap over groups.
    """
    known = target.index >= 0
    index, groups = target.index[known], groups[known]
    counts = bootstrap.weights(groups, resamples, seed)
    folds = np.array([splits.fold_of(str(group)) for group in groups])
    enough = _enough(index, groups, len(target.classes))
    found = []
    for name, (sees, features) in _features(shown, metadata, sizes).items():
        if not enough:
            reason = f"fewer than two classes have {_LEAST}"
        elif features is None:
            reason = "nothing that differs"
        elif len(np.unique(folds)) < 2:
            reason = "all patients fall into one fold"
        else:
            scores = _held_out(features[known], index, folds, len(target.classes), seed)
            areas = {
                k: bootstrap.replicates(_auroc(index == k, scores[:, k], folds), counts)
                for k in (enough if len(target.classes) > 2 else [1])
            }
            each = [members for k in areas for members in (index == k, index != k)]
            fewest = stats_patients.fewest(counts, each)
            found.append(_judged(name, sees, target.classes, areas, len(index), fewest))
            continue
        nothing = undefined(len(index), reason)
        found.append(Baseline(name, sees, nothing, {}))
    return found


def _features(shown, metadata, sizes) -> dict[str, tuple[str, np.ndarray | None]]:
    """{baseline: (what it sees, [N, F])}; None where there is nothing to see."""
    side = fingerprints.SIDE
    inner = slice(fingerprints.BORDER, side - fingerprints.BORDER)
    border = np.ones((side, side), bool)
    border[inner, inner] = False
    whole = f"{side} x {side}"
    return {
        "border": (
            f"the outer {fingerprints.BORDER} pixels of the picture at {whole}",
            shown.thumbnail[:, border],
        ),
        "border_histogram": (
            f"how much there is of each of {fingerprints.BINS} greys in that border",
            shown.border_histogram,
        ),
        "size": ("height, width and aspect as stored", _joined(sizes)),
        "metadata": (
            ", ".join(attribute.name for attribute in metadata) or "no column",
            _joined(metadata),
        ),
        "histogram": (
            f"how much there is of each of {fingerprints.BINS} greys in the whole picture",
            shown.histogram,
        ),
        "thumbnail": (
            f"the whole picture at {whole}",
            shown.thumbnail.reshape(len(shown.thumbnail), -1),
        ),
    }


def _joined(chosen: list[Attribute]) -> np.ndarray | None:
    if not chosen:
        return None
    return np.concatenate([attributes.features(a) for a in chosen], axis=1)


def _enough(index, groups, classes: int) -> list[int]:
    """The classes that are often enough, or none where that is but one."""
    enough = [
        k
        for k in range(classes)
        if (index == k).sum() >= LEAST_IMAGES
        and len(np.unique(groups[index == k])) >= LEAST_GROUPS
    ]
    return enough if len(enough) > 1 else []


def _held_out(features, index, folds, classes: int, seed: int) -> np.ndarray:
    """Probabilities [N, classes], each from the trees of the other folds."""
    features = np.ascontiguousarray(features, np.float32)
    scores = np.zeros((len(index), classes))
    # Single trees, because a forest of scikit-learn may not be grown in a thread; and
    # the folds one by one, because five of them share out badly among few cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for fold in np.unique(folds):
            known, asked = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            grow = partial(
                _tree, features, index, known, features[asked], classes, seed
            )
            # In the order of the trees, on which the rounding depends.
            scores[asked] = sum(pool.map(grow, range(_TREES))) / _TREES
    return scores


def _tree(features, index, known, asked, classes: int, seed: int, k: int):
    """Probabilities [asked, classes] of tree number k.

    Args:
      features: float32 [N, F]. index: int [N], the classes.
      known: rows to learn from. asked: the features to predict for.
    """
    rng = np.random.default_rng([seed, k])
    drawn = known
    if len(known) > _DRAWN:
        drawn = rng.choice(known, _DRAWN, replace=False)
    tree = ExtraTreeClassifier(
        min_samples_leaf=_LEAF, random_state=int(rng.integers(2**31))
    )
    tree.fit(features.take(drawn, 0), index[drawn])
    found = np.zeros((len(asked), classes))
    # They are float32 and checked where trees are grown of them.
    found[:, tree.classes_] = tree.predict_proba(asked, check_input=False)
    return found


def _auroc(positive, scores, folds) -> bootstrap.Statistic:
    """AUROC over the pairs within a fold, as a function of weights: [r, n] -> [r].

    Every fold has a model of its own. Between folds even a constant prediction would
    compare, by the shares of the classes it was learned from, and the wrong way
    (Airola et al. 2011, doi 10.1016/j.csda.2010.11.018).
    """
    rankings = []
    for fold in np.unique(folds):
        here = np.flatnonzero(folds == fold)
        ranking = weighted.rank(positive[here], scores[here])
        rankings.append(
            ranking._replace(
                positives=here[ranking.positives], negatives=here[ranking.negatives]
            )
        )

    def of_weights(weights):
        won = pairs = 0.0
        for ranking in rankings:
            area, both = weighted.area(ranking, weights)
            won = won + np.where(both > 0, area, 0) * both
            pairs = pairs + both
        return np.where(pairs > 0, won / pairs, np.nan)

    return of_weights


def _judged(name, sees, classes, areas, images: int, fewest: int) -> Baseline:
    """Args: areas: {class index: replicates of its AUROC}. fewest: see `bootstrap`."""

    def summary(values):
        return bootstrap.summary(values, images, undefined=_UNDEFINED, area_of=fewest)

    mean = np.mean(list(areas.values()), axis=0)
    whole = summary(mean)
    rare = [c for k, c in enumerate(classes) if len(classes) > 2 and k not in areas]
    if rare:
        text = f"without {', '.join(rare)}: fewer than {_LEAST}"
        whole = whole._replace(reason="; ".join(filter(None, [whole.reason, text])))
    return Baseline(
        name,
        sees,
        whole,
        {classes[k]: summary(area) for k, area in areas.items()},
        significance.p_value(mean - 0.5),
    )
