"""Warnings at the top of a report: what was checked, what was not, what was found."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

import numpy as np

from cxr_jax.audits import verdicts
from cxr_jax.audits.verdicts import CARE, FINE, SEVERITIES, STOP, Verdict
from cxr_jax.evaluation import labels, settling
from cxr_jax.metrics.registry import metric
from cxr_jax.report import headline
from cxr_jax.report.answers import command
from cxr_jax.report.material import (
    Material,
    data_verdicts,
    elsewhere,
    model_verdicts,
)
from cxr_jax.runs import provenance, results
from cxr_jax.runs.text_table import count
from cxr_jax.stats import bootstrap, laws
from cxr_jax.stats.estimate import Estimate, number

# With fewer test patients, intervals are wide and subgroups tell nothing.
FEW = 100
# Verdicts of the data audit that `_of_data` repeats for the splits of the run.
_OF_SPLITS = (
    "patients_unnamed",
    "patients_mixed",
    "synthetic",
    "class_untrained",
    "classes_apart",
)


class Caution(NamedTuple):
    """One thing to know before relying on a result.

    Attributes:
      kind: what it is about; set here or one of `verdicts.KINDS`.
      severity: 'stop' (the result is not what it seems), 'care' or 'fine' (checked).
      text: what was found.
      command: what to run next; empty if there is nothing.
    """

    kind: str
    severity: str
    text: str
    command: str = ""


def cautions(material: Material) -> list[Caution]:
    """Returns all cautions, the most severe first."""
    found = [
        *_of_data(material),
        *_of_size(material),
        *_of_classes(material),
        *_of_val(material),
        *_of_figures(material),
        *_of_data_audit(material),
        *_of_model_audit(material),
        *_of_external(material),
        *_of_code(material),
    ]
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def _of_data(material: Material) -> list[Caution]:
    found, test = [], material.splits.test
    if test.synthetic:
        text = "The films are SYNTHETIC phantoms: results on them say nothing about patients."
        found.append(Caution("synthetic", STOP, text))
    shared = {k: n for k, n in material.results["shared_patients"].items() if n}
    for pair, n in shared.items():
        one, other = pair.split("-")
        text = f"{count(n, test.unit)} are in both {one} and {other}: this is leakage."
        found.append(Caution("shared_patients", STOP, text))
    if not shared:
        text = f"None of the {test.unit} is in more than one of train, val and test."
        if test.patients_known == "all":
            return [*found, Caution("disjoint", FINE, text)]
        named = {"some": "only some patients", "none": "no patients"}[
            test.patients_known
        ]
        text += f" The dataset names {named}: one patient's films may be in two splits."
        found.append(Caution("disjoint", CARE, text))
    return found


def _of_size(material: Material) -> list[Caution]:
    sizes, unit = material.results["sizes"]["test"], material.splits.test.unit
    text = f"Tested on {results.count(material.splits.test)}"
    if sizes[unit] < FEW:
        text += ", a small test set: rely on the intervals, not the values."
        return [Caution("test_size", CARE, text)]
    return [Caution("test_size", FINE, f"{text}.")]


def _of_classes(material: Material) -> list[Caution]:
    """Classes that were never trained, and how far apart their shares lie."""
    counts = material.results.get("labels", {})
    if not any(counts.values()):
        return []
    values = {"dataset": material.results["dataset"]}
    found = [
        _of_verdict(verdicts.verdict("class_untrained", classes=[name], **values))
        for name in labels.untrained(counts)
    ]
    name, shares = labels.largest_gap(counts)
    if max(shares.values()) - min(shares.values()) >= labels.APART:
        values |= {"class": name, "shares": shares}
        found.append(_of_verdict(verdicts.verdict("classes_apart", **values)))
    return found


def _of_val(material: Material) -> list[Caution]:
    """Whether another part of val than the one that picked settled the rest."""
    parts = material.results.get("val_parts")
    if not parts or material.labels is None:
        return []
    if parts["settling"]["images"]:
        return []
    text = (
        f"Val has fewer than {settling.LEAST} {material.splits.val.unit}, too few to pick "
        "the checkpoint and settle anything else: thresholds are 0.5, the temperature is 1 "
        "and 90 % sets hold every class."
    )
    return [Caution("nothing_settled", CARE, text)]


def _of_figures(material: Material) -> list[Caution]:
    found = []
    for each in headline.headlines(material)[:1]:
        for what, other in each.beside.items():
            if what != "second reader":
                found.append(_compared(each, what, other))
    held = headline.estimates(material, "test").get("coverage_90")
    settled = material.results.get("val_parts", {}).get("settling")
    size = settled["images"] if settled else material.splits.val.size
    if held is not None and held.hi < _least_coverage(size):
        text = (
            f"90 % prediction sets contain the reference in {held.text(unit='%')}, less "
            "than the sampling of val explains: test differs from val."
        )
        found.append(Caution("coverage", CARE, text))
    return found


def _compared(each: headline.Headline, what: str, other: Estimate) -> Caution:
    the = "" if what == "chance" else "the "
    than = f"{the}{what} ({number(other.value)})"
    if not each.estimate.is_defined or not other.is_defined:
        text = (
            f"{each.label} cannot be compared with {than}: it is not defined on test."
        )
        return Caution("headline", CARE, text)
    text = f"{each.label} {each.estimate.text()} is"
    if beats(each.metric, each.estimate, other.value):
        return Caution("headline", FINE, f"{text} better than {than}.")
    return Caution("headline", STOP, f"{text} not shown to be better than {than}.")


def _least_coverage(images: int) -> float:
    """Least coverage of prediction sets fitted on val, in 39 of 40 val splits.

    Their coverage has a beta distribution (Vovk 2012, arXiv 1209.2673).
    """
    rank = min(int(np.ceil(0.9 * (images + 1))), images)
    return laws.beta_quantile(0.025, rank, images + 1 - rank) if images else 0.0


def _of_data_audit(material: Material) -> list[Caution]:
    if material.audit is None:
        text = "The data have not been audited for copies, leakage or shortcuts."
        return [Caution("no_data_audit", CARE, text, _audit_command(material))]
    return [
        _of_verdict(each)
        for each in data_verdicts(material)
        if each.kind not in _OF_SPLITS
    ]


def _of_model_audit(material: Material) -> list[Caution]:
    if material.labels is None:
        return []
    if material.model_audit is None:
        text = "The model has not been audited for shortcuts, robustness or subgroups."
        how = "--mode=audit --checkpoint=RUN --workdir=RUN/audit"
        return [Caution("no_model_audit", CARE, text, command(material, how))]
    found = [
        _of_verdict(each) for each in model_verdicts(material) if each.severity != FINE
    ]
    text = "The model audit found no shortcut and no group that does worse."
    return found or [Caution("model_audit", FINE, text)]


def _of_verdict(found: Verdict) -> Caution:
    text = verdicts.words(found)
    allowed = "Allowed by the config: " if found.values.get("allowed") else ""
    return Caution(found.kind, found.severity, allowed + text)


def _of_external(material: Material) -> list[Caution]:
    if material.labels is None:
        return []
    others = elsewhere(material)
    if others:
        return [_elsewhere(material, name, content) for name, content in others.items()]
    text = "The model has not been tested on external data."
    how = "--mode=eval --workdir=RUN --eval_on=DATASET:test"
    return [Caution("no_external_test", CARE, text, command(material, how))]


def _elsewhere(material: Material, name: str, content: dict[str, Any]) -> Caution:
    """Compares an external result with chance and with the run's own test set."""
    first = headline.headlines(material)[0]
    estimates = results.estimates(content)
    found = estimates.get(first.metric)
    ((_, size),) = content["sizes"].items()
    text = (
        f"External test on {count(size['images'], 'images')} of {name}: {first.label} "
    )
    if found is None or not found.is_defined:
        return Caution("external", CARE, f"{text}is not defined.")
    text += found.text()
    chance = metric(first.metric).chance
    chance = estimates[chance].value if chance in estimates else chance
    if isinstance(chance, float) and not beats(first.metric, found, chance):
        text += f", not shown to be better than chance ({number(chance)})."
        return Caution("external", STOP, text)
    worst = found.lo if metric(first.metric).sign < 0 else found.hi
    if not np.isfinite([worst, first.estimate.value]).all():
        return Caution("external", CARE, f"{text}; not compared with its own test set.")
    if beats(first.metric, first.estimate, worst):
        return Caution("external", CARE, f"{text}, worse than on its own test set.")
    return Caution("external", FINE, f"{text}.")


def beats(name: str, found: Estimate, other: float) -> bool:
    """Whether the whole interval is better; a perfect value has no interval."""
    sign = metric(name).sign
    return all(sign * (end - other) > 0 for end in bootstrap.ends(found))


def _of_code(material: Material) -> list[Caution]:
    text = (
        "One training with one seed: the variation between seeds is not known "
        "(--members, or configs/ablations/seeds.py)."
    )
    found = [Caution("one_seed", CARE, text)]
    git = material.provenance["git"]
    if git["revision"] is None:
        found.append(
            Caution("code", CARE, "The revision of the code was not recorded.")
        )
    elif git["changed"]:
        text = f"The code had uncommitted changes to revision {git['revision'][:10]}."
        found.append(Caution("code", CARE, text))
    return found


def _audit_command(material: Material) -> str:
    """The command of an audit, with the run's own --config where it is known."""
    data = material.config.data
    what = provenance.config_arguments(material.provenance) or [
        f"--dataset={data.dataset}",
        f"--data_dir={data.data_dir or 'DATA'}",
    ]
    arguments = ["--mode=audit", *map(shlex.quote, what), "--workdir=RUN/audit"]
    return command(material, " ".join(arguments))
