"""Before a figure is believed: what was checked, what was not, and what was found."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from cxr_jax.audits.text_table import count
from cxr_jax.metrics import registry
from cxr_jax.report import checklist, facts_figures, headline
from cxr_jax.report.material import Material
from cxr_jax.runs import provenance, results
from cxr_jax.stats import bootstrap
from cxr_jax.stats.bootstrap import Estimate

STOP, CARE, FINE = "stop", "care", "fine"
# Fewer patients than that leave wide intervals, and subgroups none at all.
FEW = 100


class Caution(NamedTuple):
    """One thing to know before a figure is believed.

    Attributes:
      weight: STOP (the figure is not what it seems), CARE or FINE (was checked).
      text: what was found.
      command: what answers it, where something does.
    """

    weight: str
    text: str
    command: str = ""


def cautions(material: Material) -> list[Caution]:
    """All of them, what weighs most first."""
    found = [
        *_of_data(material),
        *_of_size(material),
        *_of_figures(material),
        *_of_leakage(material),
        *_of_model(material),
        *_of_external(material),
        *_of_code(material),
    ]
    return sorted(found, key=lambda each: (STOP, CARE, FINE).index(each.weight))


def _of_data(material: Material) -> list[Caution]:
    found = []
    if material.splits.test.synthetic:
        text = "The films are SYNTHETIC phantoms: these figures say nothing about patients."
        found.append(Caution(STOP, text))
    unit = material.splits.test.unit
    shared = {k: n for k, n in material.results["shared_patients"].items() if n}
    for pair, number in shared.items():
        one, other = pair.split("-")
        text = f"{count(number, unit)} are in both {one} and {other}: this is leakage."
        found.append(Caution(STOP, text))
    if not shared:
        text = f"None of the {unit} is in two of train, val and test."
        if unit != "patients":
            names = (
                "not every patient" if unit.startswith("patients") else "no patients"
            )
            text += (
                f" The dataset names {names}: films of one may still lie in two splits."
            )
        found.append(Caution(FINE if unit == "patients" else CARE, text))
    return found


def _of_size(material: Material) -> list[Caution]:
    sizes, unit = material.results["sizes"]["test"], material.splits.test.unit
    text = f"Tested on {results.count(material.splits.test)}"
    if sizes[unit] < FEW:
        return [Caution(CARE, text + ": few. Read the intervals, not the values.")]
    return [Caution(FINE, text + ".")]


def _of_figures(material: Material) -> list[Caution]:
    found = []
    for each in headline.headlines(material)[:1]:
        for what, other in each.beside.items():
            if what in headline.READERS:
                continue
            if not np.isfinite([each.estimate.value, other.value]).all():
                text = f"{each.metric} cannot be held to {what}: not defined on test."
                found.append(Caution(CARE, text))
                continue
            better = _beats(each.metric, each.estimate, other.value)
            name = f"{each.metric} {each.estimate.value:.3f}"
            than = f"{what} ({other.value:.3f})"
            if better:
                found.append(Caution(FINE, f"{name} is better than {than}."))
            else:
                text = f"{name} is not shown to be better than {than}."
                found.append(Caution(STOP, text))
    held = headline.estimates(material, "test").get("coverage_90")
    if held is not None and held.hi < _least_coverage(material.splits.val.size):
        text = (
            f"Prediction sets that promise 90 % held the truth in {held.value:.0%} "
            f"({held.lo:.0%} to {held.hi:.0%}), less than the chance of which images "
            "are in val explains: test is not like val."
        )
        found.append(Caution(CARE, text))
    return found


def _least_coverage(images: int) -> float:
    """What sets settled on so many images hold at least, of 39 in 40 val splits.

    Their coverage has a beta distribution (Vovk 2012, arXiv 1209.2673).
    """
    rank = min(int(np.ceil(0.9 * (images + 1))), images)
    return float(stats.beta.ppf(0.025, rank, images + 1 - rank)) if images else 0.0


def _of_leakage(material: Material) -> list[Caution]:
    if material.audit is None:
        text = "Nobody has looked for copies and shortcuts in the data."
        return [Caution(CARE, text, _audit_command(material))]
    listed = material.audit["findings"]
    leaks = [f"LEAKAGE. {e['where']}: {e['text']}." for e in listed if e["leak"]]
    if leaks:
        return [Caution(STOP, text) for text in leaks] + _baselines(material.audit)
    found = [
        Caution(CARE, f"Leakage that was allowed. {e['where']}: {e['text']}.")
        for e in listed
        if e.get("allowed")
    ]
    if not found:
        text = "Identical and nearly identical films were looked for across splits: "
        found = [Caution(FINE, f"{text}no leakage was found.")]
    return found + _baselines(material.audit)


def _baselines(audit: dict[str, Any]) -> list[Caution]:
    """What is told without a lung, of the strongest that sees none."""
    found = []
    for name, dataset in audit["datasets"].items():
        blind = [
            (each["auroc"]["lo"], each["auroc"]["value"], each["sees"])
            for each in dataset["without_a_lung"].values()
            if not each["sees_lung"] and each["auroc"]["lo"] is not None
        ]
        if blind and max(blind)[0] > 0.5:
            _, value, sees = max(blind)
            text = (
                f"In {name} the label can be told without a lung: {sees} alone has "
                f"AUROC {value:.3f}. A model may have learned the same."
            )
            found.append(Caution(CARE, text))
    return found


# Of verdicts that find a fault, or say that there was nothing to find one by.
_TO_KNOW = (
    "a shortcut helps", "beyond chance is", "what follows says little",
    "it says the same of all pictures", "the figure is defined", "nothing can be said",
)  # fmt: skip


def _of_model(material: Material) -> list[Caution]:
    if material.labels is None:
        return []
    if material.model_audit is None:
        text = (
            "Nobody has looked at what the model stands on: shortcuts, robustness, "
            "groups of patients."
        )
        how = "--mode=audit --checkpoint=RUN --workdir=RUN/audit"
        return [Caution(CARE, text, checklist.command(material, how))]
    found = []
    for line in material.model_audit["verdicts"]:
        if "SHORTCUT" in line:
            found.append(Caution(STOP, line))
        elif any(words in line for words in _TO_KNOW):
            found.append(Caution(CARE, line))
    return found or [
        Caution(FINE, "The audit of the model found no shortcut and no worse group.")
    ]


def _of_external(material: Material) -> list[Caution]:
    if material.labels is None:
        return []
    others = facts_figures.elsewhere(material)
    if others:
        return [_elsewhere(material, name, content) for name, content in others.items()]
    text = "It was never tested on data from elsewhere."
    how = "--mode=eval --workdir=RUN --eval_on=DATASET:test"
    return [Caution(CARE, text, checklist.command(material, how))]


def _elsewhere(material: Material, name: str, content: dict[str, Any]) -> Caution:
    """A figure from elsewhere is held to a guess, and to that of the own test set."""
    first = headline.headlines(material)[0]
    estimates = results.estimates(content)
    found = estimates.get(first.metric)
    ((_, size),) = content["sizes"].items()
    text = f"On {name}, {size['images']} images from elsewhere, "
    if found is None or not np.isfinite(found.value):
        return Caution(CARE, f"{text}{first.metric} is not defined.")
    text += f"{first.metric} is {found.value:.3f}"
    if np.isfinite(found.lo):
        text += f" ({found.lo:.3f} to {found.hi:.3f})"
    guess = first.beside.get("a guess") or estimates.get(f"{first.metric}_constant")
    if guess is not None and not _beats(first.metric, found, guess.value):
        than = f"{guess.value:.3f}, which takes no model"
        return Caution(STOP, f"{text}: not shown to be better than {than}.")
    worst = found.lo if registry.metric(first.metric).better == "lower" else found.hi
    if not np.isfinite([worst, first.estimate.value]).all():
        return Caution(CARE, f"{text}: not compared with its own test set.")
    if _beats(first.metric, first.estimate, worst):
        return Caution(CARE, f"{text}: worse than on its own test set.")
    return Caution(FINE, f"{text}.")


def _beats(metric: str, found: Estimate, other: float) -> bool:
    """With its whole interval; what cannot be better has none, as resamples are alike."""
    falls = registry.metric(metric).better == "lower"
    best = 0.0 if falls else 1.0
    lo, hi = (best, best) if _is_perfect(found, best) else (found.lo, found.hi)
    return hi < other if falls else lo > other


def _is_perfect(found: Estimate, best: float) -> bool:
    return found.value == best and found.reason == bootstrap.ALIKE


def _of_code(material: Material) -> list[Caution]:
    found = []
    text = (
        "One training from one seed: what another seed gives is not in this report "
        "(--members, or configs/ablations/seeds.py)."
    )
    found.append(Caution(CARE, text))
    git = material.provenance["git"]
    if git["revision"] is None:
        found.append(Caution(CARE, "The revision of the code is not known."))
    elif git["changed"]:
        text = f"The code differed from its revision {git['revision'][:10]}."
        found.append(Caution(CARE, text))
    return found


def _audit_command(material: Material) -> str:
    """With the config that the run was started with, where its command is known."""
    given = provenance.config_arguments(material.provenance)
    data = material.config.data
    what = given or [
        f"--dataset={data.dataset}",
        f"--data_dir={data.data_dir or 'DATA'}",
    ]
    arguments = " ".join(
        ["--mode=audit", *map(shlex.quote, what), "--workdir=RUN/audit"]
    )
    return checklist.command(material, arguments)
