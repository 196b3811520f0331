"""The facts of a record as sentences and rows, for people."""

from __future__ import annotations

from collections.abc import Sequence

import cxr_jax
from cxr_jax.bundle.loaded import Bundle
from cxr_jax.predict.overlay import RESEARCH
from cxr_jax.predict.recipe import BRIXIA
from cxr_jax.predict.record import REFUSED, WARNED
from cxr_jax.serve.scored import FilmResult
from tfds_builders.common import counts

NO_DIAGNOSIS = f"{RESEARCH} Made by a program and checked by nobody."
ZONES_WORDS = (
    "A, B, C: upper, middle and lower zone of the patient's right lung; D, E, F: of "
    "the left."
)
# A film of a hospital names its patient; only datasets must not.
_OF_COURSE = "dicom_names_person"
COLOURS = (
    "Colours, if any, show which parts the figures depend on most (Grad-CAM); they "
    "outline no disease."
)
_SCORES_WORDS = (
    "Each zone scores 0 (normal) to 3 (mostly alveolar infiltrates). The expected score "
    "is the mean over the model's probabilities of the four scores."
)


def is_scored(result: FilmResult) -> bool:
    """Whether it has figures: a film that the gate turned away has none."""
    return result.record["confidence"] != ""


def share(value: float) -> str:
    """A share as '90 %'."""
    return f"{value:.0%}".replace("%", " %")


def model(bundle: Bundle) -> str:
    """Which model it was."""
    return f"{bundle.recipe.name}, cxr_jax {cxr_jax.__version__}"


def provenance(bundle: Bundle) -> str:
    """Where the model comes from."""
    recipe = bundle.recipe
    return (
        f"Model: {model(bundle)}; trained on {recipe.trained_on}; run SHA-256 "
        f"{recipe.run_digest}."
    )


def remarks(result: FilmResult, bundle: Bundle) -> list[str]:
    """Sentences beside the figures: of the gate, of the reader, on the scores."""
    record, found = result.record, []
    if record["gate"] == REFUSED:
        why = _checks(record["gate_reasons"])
        found.append(f"Refused: the film was not scored. Failed checks: {why}.")
    if record["gate"] == WARNED:
        why = _checks(record["gate_reasons"])
        found.append(f"The film failed checks and was scored all the same: {why}.")
    keys = [key for key in record["warnings"].split(";") if key]
    found += [
        f"On reading the film: {_note(key)}."
        for key in keys
        if not key.startswith(_OF_COURSE)
    ]
    if is_scored(result) and bundle.recipe.task == BRIXIA:
        found += [ZONES_WORDS, _SCORES_WORDS]
    return found


def _checks(reasons: str) -> str:
    """'view=0.91>0.50;...' of a record as 'view 0.91 (limit 0.50), ...'."""
    found = []
    for each in reasons.split(";"):
        name, _, figures = each.partition("=")
        score, _, limit = figures.partition(">")
        found.append(f"{name.replace('_', ' ')} {score} (limit {limit})")
    return ", ".join(found)


def _note(key: str) -> str:
    name, _, parameter = key.partition(":")
    return counts.COUNTS[name].text.format(parameter).rstrip(": ")


def rows(result: FilmResult, bundle: Bundle) -> Sequence[tuple[str, str]]:
    """(name, figures) of a film that was scored."""
    record, recipe = result.record, bundle.recipe
    if recipe.task == BRIXIA:
        found = [("Global score", f"{float(record['global']):.1f} of 18")]
        if record["global_low"] != "":
            low, high = float(record["global_low"]), float(record["global_high"])
            name = f"{share(recipe.decision.coverage)} interval"
            found.append((name, f"{low:.1f} to {high:.1f}"))
        for zone in recipe.questions:
            score = float(record[f"expected_{zone}"])
            likely = record[f"set_{zone}"].replace("|", ", ") or "none"
            found.append((f"Zone {zone}", f"{score:.1f}   (set: {likely})"))
    else:
        found = [("Called", record["called"])]
        found += [(c, f"{float(record[f'prob_{c}']):.3f}") for c in recipe.classes]
        name = f"{share(recipe.decision.coverage)} prediction set"
        found.append((name, record["set"].replace("|", ", ") or "none"))
    return [*found, ("Confidence, calibrated", f"{float(record['confidence']):.2f}")]
