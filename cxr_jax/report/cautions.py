"""Before a figure is believed: what was checked, what was not, and what was found."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

import numpy as np

from cxr_jax import results
from cxr_jax.audits.table import count
from cxr_jax.bootstrap import Estimate
from cxr_jax.report import headline
from cxr_jax.report.material import Material
from cxr_jax.tasks.task import lower_is_better

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
        text = f"No {unit.removesuffix('s')} is in two of train, val and test."
        if unit != "patients":
            text += (
                f" The dataset names no patients: {unit} stand for them, so films of one "
                "patient may still lie in two splits."
            )
        found.append(Caution(FINE if unit == "patients" else CARE, text))
    return found


def _of_size(material: Material) -> list[Caution]:
    sizes, unit = material.results["sizes"]["test"], material.splits.test.unit
    text = f"Tested on {results.count(material.splits.test)}"
    if sizes[unit] < FEW:
        return [Caution(CARE, text + ": few. Read the intervals, not the values.")]
    return [Caution(FINE, text + "; every figure has an interval over them.")]


def _of_figures(material: Material) -> list[Caution]:
    found = []
    for each in headline.headlines(material)[:1]:
        for what, other in each.beside.items():
            if what not in (
                "a guess",
                "always the median",
                "always the commonest class",
            ):
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
    if held is not None and held.hi < 0.9:
        text = (
            f"Prediction sets that promise 90 % held the truth in {held.value:.0%} "
            f"({held.lo:.0%} to {held.hi:.0%}): test is not like val."
        )
        found.append(Caution(CARE, text))
    return found


def _of_leakage(material: Material) -> list[Caution]:
    if material.audit is None:
        text = "Nobody has looked for copies and shortcuts in the data."
        return [Caution(CARE, text, _audit_command(material))]
    listed = material.audit["findings"]
    leaks = [f"LEAKAGE. {e['where']}: {e['text']}." for e in listed if e["leak"]]
    if leaks:
        return [Caution(STOP, text) for text in leaks] + _baselines(material.audit)
    found = [Caution(FINE, "Identical and nearly identical films were looked for across "
                           "splits: no leakage was found.")]  # fmt: skip
    allowed = sorted({each["name"] for each in listed if each.get("allowed")})
    if allowed:
        found.append(Caution(CARE, f"Leaks that were allowed: {', '.join(allowed)}."))
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


def _of_model(material: Material) -> list[Caution]:
    if material.labels is None:
        return []
    if material.model_audit is None:
        text = (
            "Nobody has looked at what the model stands on: shortcuts, robustness, "
            "groups of patients."
        )
        command = (
            f"python -m cxr_jax.main --mode=audit --checkpoint={material.workdir} "
            f"--workdir={material.workdir}/audit"
        )
        return [Caution(CARE, text, command)]
    found = []
    for line in material.model_audit["verdicts"]:
        if "SHORTCUT" in line:
            found.append(Caution(STOP, line))
        elif "a shortcut helps" in line or "beyond chance is" in line:
            found.append(Caution(CARE, line))
    return found or [
        Caution(FINE, "The audit of the model found no shortcut and no worse group.")
    ]


def _of_external(material: Material) -> list[Caution]:
    if material.labels is None:
        return []
    own = material.splits.test.dataset
    others = [
        (name, content)
        for name, content in material.evaluations.items()
        if content["dataset"].split("/")[0] != own
    ]
    if others:
        return [_elsewhere(material, name, content) for name, content in others]
    text = "It was never tested on data from elsewhere."
    command = (
        f"python -m cxr_jax.main --mode=eval --workdir={material.workdir} "
        "--eval_on=DATASET:test"
    )
    return [Caution(CARE, text, command)]


def _elsewhere(material: Material, name: str, content: dict[str, Any]) -> Caution:
    """A figure from elsewhere is held to a guess, and to that of the own test set."""
    first = headline.headlines(material)[0]
    estimates = {
        key.split("/", 1)[1]: results.estimate_from_json(value)
        for key, value in content["metrics"].items()
    }
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
    low, high = sorted((found, first.estimate), key=lambda each: each.value)
    if low.hi < high.lo and _beats(first.metric, first.estimate, found.value):
        return Caution(CARE, f"{text}: worse than on its own test set.")
    return Caution(FINE, f"{text}.")


def _beats(metric: str, found: Estimate, other: float) -> bool:
    """With its whole interval."""
    return found.hi < other if lower_is_better(metric) else found.lo > other


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
    given = [each for each in material.provenance["command"] if "--config" in each]
    data = material.config.data
    what = given or [
        f"--dataset={data.dataset}",
        f"--data_dir={data.data_dir or 'DATA'}",
    ]
    parts = ["--mode=audit", *what, f"--workdir={material.workdir}/audit"]
    return "python -m cxr_jax.main " + " ".join(map(shlex.quote, parts))
