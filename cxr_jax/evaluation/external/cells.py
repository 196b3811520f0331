"""One run on one set: its figures there, and what is lost against its own test set."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from cxr_jax import rng
from cxr_jax.data.split import Split, take
from cxr_jax.evaluation import compare, evaluators, subgroups
from cxr_jax.evaluation.external.sets import LeftOut, Library, Set
from cxr_jax.metrics.registry import metric as record_of
from cxr_jax.runs import results
from cxr_jax.runs.restore import Trained
from cxr_jax.stats import bootstrap, significance
from cxr_jax.stats.estimate import Estimate, json_number, undefined
from cxr_jax.tasks import Probabilities

NOTHING_LEFT = "no image is left that train or val of the run does not know"


class Cell(NamedTuple):
    """A run on a set.

    Attributes:
      left_out: images that it was not tested on.
      tested: the others; None where there are none.
      replicates: {metric: [R + 1]} of `bootstrap.replicates`.
      figures: {metric: Estimate}.
      drops: {metric: Estimate} of how much worse it is than on the run's own test
        set.
      in_own: how many of the images have a copy in the run's own test set.
      sources: where the set names its sources, the figures within each.
      chance: what a constant predictor reaches there in the metric that counts first.
      p: {metric: of its drop being 0}, not corrected for how many sets there are.
    """

    left_out: LeftOut
    tested: Split | None
    replicates: dict[str, np.ndarray]
    figures: dict[str, Estimate]
    drops: dict[str, Estimate]
    in_own: int
    sources: list[subgroups.Row]
    chance: float = float("nan")
    p: Mapping[str, float] = MappingProxyType({})


def judge(model: Trained, each: Set, out: LeftOut, is_own: bool) -> Cell:
    """The figures of a model on what is left of a set.

    Args:
      model: whose task knows the labels of the set.
      each: the set.
      out: images that are not tested.
      is_own: of the run; then the resamples are drawn as for its `results.json`.
    """
    config, main = model.exp.config, model.exp.task.main
    known = model.exp.task.probabilities
    if not len(out.kept):
        nothing = undefined(0, NOTHING_LEFT)
        return Cell(out, None, {}, {main: nothing}, {}, 0, [])
    split = take(each.split, out.kept, each.split.split)
    make, labels = _statistics(model, split)
    counts = _draw(config, split, "" if is_own else each.name)
    statistics = make(slice(None))
    values = {
        metric: bootstrap.replicates(statistic, counts)
        for metric, statistic in statistics.items()
    }
    reason = _undefined(known, labels)
    figures = {
        metric: bootstrap.estimate(
            statistic, counts, undefined=reason, values=values[metric]
        )
        for metric, statistic in statistics.items()
    }
    sources = _by_source(split, make, counts, main)
    chance = known.chance(labels, model.best["decision"])
    return Cell(out, split, values, figures, {}, 0, sources, chance)


def compared(cell: Cell, each: Set, internal: Cell, own: Set, library: Library) -> Cell:
    """The cell with how much worse it is than on the run's own test set.

    The resamples of the two are drawn apart, as for sets of different patients; where
    they share some, the intervals are too wide.
    """
    if cell.tested is None or internal.tested is None:
        return cell
    images = cell.tested.size + internal.tested.size
    values = {
        metric: record_of(metric).sign * (internal.replicates[metric] - here)
        for metric, here in cell.replicates.items()
    }
    reason = "not defined on one of the two sets"
    drops = {
        metric: bootstrap.summary(drop, images, undefined=reason)
        for metric, drop in values.items()
    }
    p = {metric: significance.p_value(drop) for metric, drop in values.items()}
    kinds = library.copied(
        library.numbers(each.folder, cell.tested),
        library.numbers(own.folder, internal.tested),
    )
    return cell._replace(drops=drops, p=p, in_own=int((kinds != "").sum()))


def to_json(cell: Cell, each: Set) -> dict[str, Any]:
    """All of it as JSON values, with the names of the images that were left out."""
    names = np.array(each.split.table["example_id"])
    left_out = cell.left_out._asdict().items()
    return {
        "size": results.size(cell.tested) if cell.tested else {"images": 0},
        "left_out": {kind: sorted(names[out].tolist()) for kind, out in left_out},
        "chance": json_number(cell.chance),
        "metrics": results.estimates_to_json(cell.figures),
        "worse_than_own": results.estimates_to_json(cell.drops),
        "p": {metric: json_number(p) for metric, p in cell.p.items()},
        "copies_in_own_test": cell.in_own,
        "sources": [
            {
                "source": row.name,
                "images": row.images,
                "metrics": results.estimates_to_json(row.figures),
                "worse_than_others": results.estimates_to_json(row.gaps),
            }
            for row in cell.sources
        ],
    }


def _statistics(model: Trained, split: Split):
    """(images -> {metric: statistic} of these, labels [N, G])."""
    labels, probs = evaluators.judge(model.exp, model.eval_step, model.state, split)
    known, decision = model.exp.task.probabilities, model.best["decision"]

    def make(images):
        return known.statistics(labels[images], probs[images], decision)

    return make, labels


def _draw(config: ConfigDict, split: Split, name: str) -> np.ndarray:
    """Resamples of the patients; a set with a name has draws of its own."""
    seed = config.seed
    if name:
        seed = int(rng.generator(seed, f"matrix/{name}").integers(2**31))
    resamples = max(config.resamples, compare.LEAST_RESAMPLES)
    return bootstrap.weights(split.table["patient_id"], resamples, seed)


def _undefined(known: Probabilities, labels: np.ndarray) -> str:
    """Why a figure may not be defined on these images."""
    absent = [name for k, name in enumerate(known.classes) if not (labels == k).any()]
    if absent and not known.is_graded:
        return f"none of the {len(labels)} images is {' or '.join(absent)}"
    return f"the {len(labels)} images, or what is said of them, are all alike"


def _by_source(split: Split, make, counts, main: str) -> list[subgroups.Row]:
    if "source" not in split.table:
        return []
    table = {name: split.table[name] for name in ("source", "patient_id")}
    return subgroups.of_metrics(table, split.label_names, make, counts, (main,))
