"""Checklist facts about the results: uncertainty, groups, audits, external data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cxr_jax.evaluation import subgroups as subgroups_lib
from cxr_jax.metrics.classification import names_of_class
from cxr_jax.metrics.registry import metric
from cxr_jax.report import headline
from cxr_jax.report.answers import (
    ANSWERED,
    OPEN,
    PARTLY,
    Answer,
    command,
    figure,
    headlines,
    known,
    listed,
    sentences,
)
from cxr_jax.report.facts_data import PEOPLE
from cxr_jax.report.material import Material, elsewhere, model_verdicts
from cxr_jax.runs import results
from cxr_jax.runs.text_table import count

# Columns of sites and machines, where a dataset has them.
CLUSTERS = ("source", "country", "location", "manufacturer", "modality", "format")
SHORTCUTS = ("shortcut", "shortcut_helps", "no_shortcut", "shortcut_undefined")
ATTRIBUTION = ("attribution", "attribution_unspecific", "attribution_flat")


def metrics(material: Material) -> Answer:
    found = [each.label for each in headline.headlines(material)]
    number = len(headline.estimates(material, "test"))
    text = (
        f"{number} metrics on test, led by {listed(found)}; docs/metrics.md defines "
        "each. Also reported: the metrics of a constant predictor"
        + (", calibration and net benefit." if material.labels is not None else ".")
    )
    return Answer(ANSWERED, text, "performance")


def uncertainty(material: Material) -> Answer:
    config = material.config
    if not config.resamples:
        return Answer(OPEN, "No intervals: config.resamples is 0.", "headline")
    text = (
        f"95 % bootstrap over {material.splits.test.unit}, {config.resamples:,} "
        f"resamples, seed {config.seed}: percentiles, and for areas under ROC curves "
        "the spread of their log odds. No hypothesis was tested; "
        "--mode=compare compares runs, with Holm's correction."
    )
    return Answer(ANSWERED, text, "headline")


def _audited(kinds: tuple[str, ...], what: str) -> Callable[[Material], Answer]:
    """Returns a fact: the verdicts of some kinds, or how to obtain them."""

    def find(material: Material) -> Answer:
        text = sentences(model_verdicts(material), kinds)
        if text:
            return Answer(ANSWERED, text, "audits")
        if material.labels is None:
            return Answer(OPEN, f"Not measured: {what}.")
        how = command(material, "--mode=audit --checkpoint=RUN --workdir=RUN/audit")
        return Answer(OPEN, f"Not measured: {what}. To do so: {how}", "audits")

    return find


robustness = _audited(("robustness",), "robustness")
attribution = _audited(ATTRIBUTION, "attribution")
shortcuts = _audited(SHORTCUTS, "shortcuts")


def internal_test(material: Material) -> Answer:
    text = (
        f"Once, at the end, on {results.count(material.splits.test)} of the same "
        f"dataset, not used for training: {headlines(material)}. The checkpoint and the "
        "thresholds were chosen on val."
    )
    return Answer(ANSWERED, text, "headline")


def external_test(material: Material) -> Answer:
    found = [_of_evaluation(material, each) for each in elsewhere(material).values()]
    if found:
        return Answer(ANSWERED, " ".join(found), "external")
    how = command(material, "--mode=eval --workdir=RUN --eval_on=DATASET:test")
    text = f"The model was not tested on external data. To do so: {how}"
    return Answer(OPEN, text, "external")


def _of_evaluation(material: Material, content: dict) -> str:
    found = results.estimates(content)
    figures = [
        f"{metric(name).label} {found[name].text()}, n {found[name].n:,}"
        for name in material.task.headline
        if name in found
    ]
    made = " (synthetic)" if content["synthetic"] else ""
    return f"{content['dataset']}{made}: {'; '.join(figures)}."


def performance(material: Material) -> Answer:
    beside = [
        f"{each.label} of the {what} {other.text()}"
        for each in headline.headlines(material)
        for what, other in each.beside.items()
        if what != "chance"
    ]
    text = f"On test, {headlines(material)}."
    text += f" For comparison: {'; '.join(beside)}." if beside else ""
    if not material.config.resamples:
        return Answer(PARTLY, f"{text} Intervals are missing.", "headline")
    return Answer(ANSWERED, text, "headline")


def diagnosis(material: Material) -> Answer:
    found = material.task.probabilities
    if found is None or found.is_graded:
        text = f"The model makes no diagnosis; its error: {headlines(material)}."
        return Answer(PARTLY, text, "headline")
    known = headline.estimates(material, "test")
    rates = [
        figure(material, name)
        for family in ("sensitivity", "specificity")
        for name in names_of_class(family, found.classes)
        if name in known
    ]
    text = f"At thresholds chosen on val: {'; '.join(rates)}."
    return Answer(ANSWERED, text, "headline")


def cross_tabulation(material: Material) -> Answer:
    if not material.results["confusion"].get("test"):
        return Answer(OPEN, "There are no classes to tabulate.")
    text = (
        "The confusion matrix is drawn under Performance, with its numbers in a table."
    )
    return Answer(ANSWERED, text, "performance")


def failures(material: Material) -> Answer:
    found = material.results["confusion"].get("test")
    if material.labels is None or not found:
        return Answer(OPEN, "Show images on which the model fails.", "cases")
    cells = np.array(found["target_by_called"])
    np.fill_diagonal(cells, 0)
    true, called = np.unravel_index(cells.argmax(), cells.shape)
    classes = found["classes"]
    what = "zones" if material.task.probabilities.is_graded else "images"
    text = (
        f"{cells.sum():,} test {what} are misclassified, most often {classes[true]} as "
        f"{classes[called]} ({cells[true, called]:,})."
    )
    return Answer(PARTLY, text, "cases")


def limitations(material: Material) -> Answer:
    card, parts = material.card, []
    if card and not material.splits.test.synthetic:
        parts += card.limitations
    faults = sentences(model_verdicts(material), ("shortcut", "shortcut_helps"))
    parts += [faults] if faults else []
    if not elsewhere(material):
        parts.append("Not tested on external data.")
    parts.append("One training, one seed.")
    return Answer(PARTLY, " ".join(parts), "data")


def _measured_groups(material: Material, columns: tuple[str, ...]) -> list[str]:
    """'sex (2 groups)' for columns with test groups in which metrics are defined.

    A group counts if it is large enough and every class of test occurs in it.
    """
    test, labels = material.splits.test, material.labels
    if labels is None:
        return []
    is_graded = material.task.probabilities.is_graded
    found = [
        group.attribute
        for group in subgroups_lib.each(test.table, test.label_names)
        if is_graded or len(np.unique(labels[group.members])) == len(np.unique(labels))
    ]
    numbers = {name: found.count(name) for name in columns if name in found}
    return [f"{name} ({count(number, 'groups')})" for name, number in numbers.items()]


def subgroups(material: Material) -> Answer:
    if found := _measured_groups(material, PEOPLE):
        text = f"By {listed(found)}: see Subgroups."
        return Answer(ANSWERED, text, "subgroups")
    return Answer(PARTLY, "Not examined by sex or age.", "subgroups")


def fairness(material: Material) -> Answer:
    text = "Neither the training nor the thresholds were adjusted for fairness."
    if found := _measured_groups(material, PEOPLE):
        text += f" Metrics were compared between groups of {listed(found)}."
        return Answer(PARTLY, text, "subgroups")
    is_known = bool(known(material.splits.test.table, PEOPLE))
    why = "too few images per group" if is_known else "no column of sex or age"
    text += f" Groups of people were not compared: test has {why}."
    return Answer(OPEN, text, "subgroups")


def clusters(material: Material) -> Answer:
    found, others = _measured_groups(material, CLUSTERS), list(elsewhere(material))
    text = "One set of parameters for all. "
    if not found and not others:
        text += (
            f"Not examined: test has no site or machine with {subgroups_lib.LEAST} "
            "images of every class, and there was no external test. State so, or why."
        )
        return Answer(OPEN, text, "subgroups")
    where = [f"within test groups of {listed(found)}"] * bool(found)
    where += [f"on {listed(others)}"] * bool(others)
    text += f"Performance was measured {listed(where)}."
    return Answer(ANSWERED, text, "subgroups" if found else "external")


def recalibrated(material: Material) -> Answer:
    found = headline.estimates(material, "test")
    pairs = [
        f"{figure(material, plain)}; {figure(material, name)}"
        for name in found
        for plain, _, how in [name.rpartition("_")]
        if how in ("tempered", "vector") and plain in found
    ]
    if not pairs:
        return Answer(ANSWERED, "Nothing was recalibrated.", "")
    return Answer(ANSWERED, f"Before and after: {'; '.join(pairs)}.", "performance")
