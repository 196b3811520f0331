"""What is known of the figures: uncertainty, audits, external tests."""

from __future__ import annotations

import numpy as np

from cxr_jax.report import headline, table
from cxr_jax.report.checklist import (
    Answer,
    command,
    figure,
    headlines,
    listed,
    readme,
    sentences,
    verdicts,
)
from cxr_jax.report.material import Material
from cxr_jax.runs import results


def metrics(material: Material) -> Answer:
    found = [each.metric for each in headline.headlines(material)]
    number = len(headline.estimates(material, "test"))
    text = (
        f"{number} figures of test, {listed(found)} first; docs/metrics.md defines "
        "each. Beside them: what a constant guess reaches"
        + (", and calibration." if material.labels is not None else ".")
    )
    return Answer("answered", text, "curves")


def uncertainty(material: Material) -> Answer:
    config = material.config
    if not config.resamples:
        return Answer(
            "open", "No intervals: the config asked for no resamples.", "headline"
        )
    text = (
        f"95 % percentile bootstrap over {material.splits.test.unit}, "
        f"{config.resamples:,} resamples, seed {config.seed}. No hypothesis was "
        "tested: --mode=compare holds two runs against each other, with Holm's "
        "correction."
    )
    return Answer("answered", text, "headline")


def audited(begins: str, what: str):
    """Finds what the audit of the model says of `begins`, or how to make it."""

    def find(material: Material) -> Answer:
        told = verdicts(material, begins)
        if told:
            return Answer("answered", " ".join(told), "audits")
        text = f"No {what} was measured. "
        if material.labels is None:
            return Answer("open", text + "Say so, or why none is needed.")
        audit = command(material, "--mode=audit --checkpoint=RUN --workdir=RUN/audit")
        return Answer("open", f"{text}The command: {audit}", "audits")

    return find


def internal(material: Material) -> Answer:
    text = (
        f"Once, at the end, on {results.count(material.splits.test)} of the same "
        f"dataset that were not trained on: {headlines(material)}. The checkpoint, and "
        "what has to be settled, are of val."
    )
    return Answer("answered", text, "headline")


def elsewhere(material: Material) -> dict[str, dict]:
    """The evaluations on other datasets than that of the training."""
    own = material.splits.test.dataset
    return {
        name: content
        for name, content in material.evaluations.items()
        if content["dataset"].split("/")[0] != own
    }


def external(material: Material) -> Answer:
    found = [_of_evaluation(material, each) for each in elsewhere(material).values()]
    if found:
        return Answer("answered", " ".join(found), "external")
    how = command(material, "--mode=eval --workdir=RUN --eval_on=DATASET:test")
    text = f"It was never tested on data from elsewhere. The command: {how}"
    return Answer("open", text, "external")


def _of_evaluation(material: Material, content: dict) -> str:
    found = results.estimates(content)
    told = [
        f"{each.metric} {table.text(found[each.metric])}, n {found[each.metric].n:,}"
        for each in headline.headlines(material)
        if each.metric in found
    ]
    made = " (synthetic)" if content["synthetic"] else ""
    return f"{content['dataset']}{made}: {'; '.join(told)}."


def performance(material: Material) -> Answer:
    held = [
        f"{each.metric} of {what} {table.text(other)}"
        for each in headline.headlines(material)
        for what, other in each.beside.items()
    ]
    text = f"On test, {headlines(material)}."
    return Answer(
        "answered", text + f" Beside: {'; '.join(held)}." * bool(held), "headline"
    )


def diagnosis(material: Material) -> Answer:
    if material.config.task.name != "classify":
        text = f"No diagnosis is made; its error: {headlines(material)}."
        return Answer("partly", text, "headline")
    rates = [
        figure(material, name)
        for name in headline.estimates(material, "test")
        if name.startswith(("sensitivity", "specificity"))
        and "severity" not in name
        and not name.endswith("_at95")
    ]
    text = f"At thresholds settled on val: {'; '.join(rates)}."
    return Answer("answered", text, "headline")


def failures(material: Material) -> Answer:
    found = material.results["confusion"].get("test")
    if material.labels is None or not found:
        return Answer("open", "Show images on which it fails, and say why.", "cases")
    cells = np.array(found["target_by_called"])
    np.fill_diagonal(cells, 0)
    true, called = np.unravel_index(cells.argmax(), cells.shape)
    classes = found["classes"]
    what = "zones" if material.config.task.name == "brixia" else "images"
    text = (
        f"{cells.sum():,} {what} of test are called wrong, most often {classes[true]} "
        f"as {classes[called]} ({cells[true, called]:,}). Look at the worst cases and "
        "say why."
    )
    return Answer("partly", text, "cases")


def limitations(material: Material) -> Answer:
    faults = [sentences(text)[0] for text in readme(material, "Known faults")]
    parts = [f"Known faults of the release: {' '.join(faults)}"] if faults else []
    parts += [
        line
        for line in verdicts(material, "Shortcuts")
        if "SHORTCUT" in line or "a shortcut helps" in line
    ]
    if not elsewhere(material):
        parts.append("No test on data from elsewhere.")
    parts.append("One training, one seed. Add what limits the study.")
    return Answer("partly", " ".join(parts), "data")
