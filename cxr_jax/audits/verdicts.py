"""What the audits conclude: records of numbers, and the words for each kind of them.

A verdict travels as (kind, severity, values), in memory and in `audit.json` and
`model_audit.json`; `words` makes the sentence for a terminal or a page, last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cxr_jax.metrics.registry import metric
from cxr_jax.runs.text_table import count
from cxr_jax.stats.estimate import Estimate, number
from tfds_builders.common.errors import InputError

# The figures are not what they seem; something to know before they are believed; checked.
SEVERITIES = STOP, CARE, FINE = "stop", "care", "fine"

Values = dict[str, Any]


class Verdict(NamedTuple):
    """One conclusion.

    Attributes:
      kind: of KINDS.
      severity: 'stop', 'care' or 'fine'.
      values: numbers and names, as JSON has them.
    """

    kind: str
    severity: str
    values: Values


class Kind(NamedTuple):
    """What every verdict of a kind has in common.

    Attributes:
      severity: unless something lowers it, as `config.audit.allow` does for leakage.
      words: values -> a sentence.
    """

    severity: str
    words: Callable[[Values], str]


def verdict(kind: str, **values: Any) -> Verdict:
    """With the severity of its kind; estimates become JSON values."""
    plain = {
        name: value.to_json() if isinstance(value, Estimate) else value
        for name, value in values.items()
    }
    return Verdict(kind, KINDS[kind].severity, plain)


def words(found: Verdict) -> str:
    """The verdict as a sentence."""
    return KINDS[found.kind].words(found.values)


def by_severity(found: Sequence[Verdict]) -> list[Verdict]:
    """Those that weigh most first, else in their order."""
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def from_json(content: dict[str, Any], path: Any) -> list[Verdict]:
    """The verdicts of an audit file.

    Raises:
      InputError: they are of another version of this package.
    """
    try:
        found = [Verdict(**each) for each in content["verdicts"]]
        for each in found:
            words(each)
    except (KeyError, TypeError) as error:
        raise InputError(
            path,
            f"holds verdicts of another version ({error})",
            "run the audit again, or remove the file",
        ) from None
    return found


def _estimate(values: Values, name: str = "estimate") -> Estimate:
    return Estimate.from_json(values[name])


def _label(values: Values) -> str:
    return metric(values["metric"]).label


# Of a dataset.


def _patients_across_splits(v: Values) -> str:
    return (
        f"{v['dataset']}: {count(v['patients'], v['unit'])} of {v['split']} are also in "
        f"{v['other_split']} ({_share(v)})."
    )


def _copies(kind: str, where: str) -> Callable[[Values], str]:
    """where: of the images that have a copy, and of the copies."""

    def make(v: Values) -> str:
        what = {"identical": "an identical copy", "near": "a near-duplicate"}[kind]
        more = ", besides those named above" if v.get("besides") else ""
        in_other = where.format(**v)
        return f"{v['dataset']}: {_share(v)} {in_other.replace('COPY', what)}{more}."

    return make


def _share(v: Values) -> str:
    return f"{v['images']:,} of {count(v['of'], 'images')}"


def _blank(v: Values) -> str:
    return (
        f"{v['dataset']}: {_share(v)} have a single grey value ({v['examples']}); they "
        "are copies of nothing."
    )


def _no_leakage(v: Values) -> str:
    return (
        "Identical and nearly identical images were searched for across splits: no "
        "leakage was found."
    )


def _without_lung(v: Values) -> str:
    return (
        f"{v['dataset']}: the label can be predicted without seeing a lung: {v['sees']} alone "
        f"reaches AUROC {_estimate(v).text()}. A model may have learned the same."
    )


def _class_untrained(v: Values) -> str:
    return (
        f"{v['dataset']}: train has no image of {', '.join(v['classes'])}: a model cannot "
        "learn it, and no figure of it means anything."
    )


def _classes_apart(v: Values) -> str:
    shares = ", ".join(
        f"{number(share, unit='%')} in {split}" for split, share in v["shares"].items()
    )
    return (
        f"{v['dataset']}: the share of {v['class']} is {shares}. Patients are dealt to "
        "splits whatever their class, so read predictive values and thresholds with that "
        "in mind."
    )


def _no_copies(v: Values) -> str:
    return (
        "No image of val or test has a copy in train; whether their patients do is not "
        "known."
    )


def _patients_unnamed(v: Values) -> str:
    text = (
        f"{v['dataset']} names no patients: {v['unit']} stand for them, so images of one "
        "patient may be in two splits unnoticed."
    )
    if not v.get("suggested"):
        return text
    pattern, films, patients = v["suggested"][0]
    return (
        f"{text} File names suggest {patients:,} patients of {films:,} films: check that, "
        f"then build again with --patients_from='{pattern}'."
    )


def _patients_mixed(v: Values) -> str:
    return (
        f"{v['dataset']} names only some patients: near-duplicate groups stand for the "
        "others."
    )


def _synthetic(v: Values) -> str:
    return (
        f"{v['dataset']} holds SYNTHETIC phantoms: figures on them say nothing about "
        "patients."
    )


_ACROSS = "of {split} have COPY in {other_split}"
_EXTERNAL = "of the external test set {split} have COPY in train or val of {other}"
_OTHER = "have COPY in {other}"
_WITHIN = "of {split} have COPY in the same split"

_OF_DATA = {
    "patients_across_splits": Kind(STOP, _patients_across_splits),
    "identical_images_across_splits": Kind(STOP, _copies("identical", _ACROSS)),
    "near_duplicates_across_splits": Kind(STOP, _copies("near", _ACROSS)),
    "identical_images_in_external_test": Kind(STOP, _copies("identical", _EXTERNAL)),
    "near_duplicates_in_external_test": Kind(STOP, _copies("near", _EXTERNAL)),
    "identical_images_across_datasets": Kind(CARE, _copies("identical", _OTHER)),
    "near_duplicates_across_datasets": Kind(CARE, _copies("near", _OTHER)),
    "identical_images_within_a_split": Kind(CARE, _copies("identical", _WITHIN)),
    "near_duplicates_within_a_split": Kind(CARE, _copies("near", _WITHIN)),
    "copies_with_different_labels": Kind(
        CARE,
        lambda v: (
            f"{v['dataset']}: {_share(v)} have a copy with another {v['target']}."
        ),
    ),
    "blank_images": Kind(CARE, _blank),
    "label_without_lung": Kind(CARE, _without_lung),
    "class_untrained": Kind(CARE, _class_untrained),
    "classes_apart": Kind(CARE, _classes_apart),
    "patients_unnamed": Kind(CARE, _patients_unnamed),
    "patients_mixed": Kind(CARE, _patients_mixed),
    "synthetic": Kind(CARE, _synthetic),
    "no_leakage": Kind(FINE, _no_leakage),
    "no_copies": Kind(FINE, _no_copies),
}

# Of a model.


def _at_chance(v: Values) -> str:
    return (
        f"Whole picture: {_label(v)} {_estimate(v).text()} is not shown to be better than "
        f"chance ({number(v['chance'])}) on these {v['estimate']['n']:,} images, so the rest of the "
        "audit says little."
    )


def _shortcut(meaning: str) -> Callable[[Values], str]:
    def make(v: Values) -> str:
        whole = number(_estimate(v, "whole").value)
        left = _estimate(v, "left").text(unit="%")
        return (
            f"Shortcuts, {v['control']}: {_label(v)} {_estimate(v).text()}; whole "
            f"picture {whole}, chance {number(v['chance'])}. {meaning.format(left=left)}"
        )

    return make


def _shortcut_undefined(v: Values) -> str:
    return (
        f"Shortcuts, {v['control']}: {_label(v)} is {_estimate(v).text()}. The model "
        "may give the same answer for all such pictures."
    )


def _corrected(v: Values) -> str:
    return f" (Holm, over {count(v['of'], 'comparisons')})"


def _robustness(v: Values) -> str:
    since = ", which may be chance"
    if v["first"] is not None:
        since = f", beyond chance from {v['first']:g} on{_corrected(v)}"
    return (
        f"Robustness: of the alterations, {v['alteration']!r} costs most: "
        f"{number(v['lost'])} of {_label(v)} at {v['strength']:g} {v['unit']}{since}."
    )


def _worst_group(v: Values) -> str:
    return (
        f"Subgroups: {v['attribute']} {v['group']} ({v['images']:,} images) is worse "
        f"than all others, by {_estimate(v, 'gap').text()} of {_label(v)}: beyond "
        f"chance{_corrected(v)}."
    )


def _groups_undefined(v: Values) -> str:
    return (
        f"Subgroups: {_label(v)} is not defined in any of {count(v['groups'], 'groups')}, "
        "because some class does not occur there. Where an attribute is "
        "associated with the class, a model can read one for the other."
    )


def _biased_group(v: Values) -> str:
    bias = _estimate(v, "bias").text(2, sign=True)
    return (
        f"Agreement: the bias of the global score is largest for {v['attribute']} "
        f"{v['group']} ({v['images']:,} images): {bias} points, limits of agreement "
        f"{v['low']:+.1f} to {v['high']:+.1f}: beyond chance{_corrected(v)}."
    )


def _attribution(meaning: str) -> Callable[[Values], str]:
    def make(v: Values) -> str:
        text = (
            f"Attribution, {v['method']}: {_estimate(v).text(unit='%')} of the map lies "
            f"in the {v['where']}, which cover {number(v['area'], unit='%')} of the "
            "picture. "
        )
        likeness = None if v["likeness"] is None else number(v["likeness"], 2)
        return text + meaning.format(likeness=likeness)

    return make


_RANDOM = "Rank correlation with maps of random weights {likeness}: "

_OF_MODEL = {
    "no_better_than_chance": Kind(CARE, _at_chance),
    "shortcut": Kind(
        STOP,
        _shortcut(
            "SHORTCUT: {left} of what the model knows beyond chance needs no lung. Its "
            "figures say little about disease."
        ),
    ),
    "shortcut_helps": Kind(
        CARE,
        _shortcut(
            "{left} of what the model knows beyond chance needs no lung: a shortcut "
            "helps."
        ),
    ),
    "no_shortcut": Kind(FINE, _shortcut("Not beyond chance: no shortcut found.")),
    "shortcut_untested": Kind(
        CARE,
        _shortcut("Whole pictures are near chance too, so nothing can be said."),
    ),
    "shortcut_undefined": Kind(CARE, _shortcut_undefined),
    "robustness": Kind(FINE, _robustness),
    "worst_group": Kind(CARE, _worst_group),
    "no_worse_group": Kind(
        FINE,
        lambda v: (
            f"Subgroups: none of {count(v['groups'], 'groups')} is worse than all "
            "others beyond chance."
        ),
    ),
    "groups_undefined": Kind(CARE, _groups_undefined),
    "groups_too_small": Kind(
        CARE,
        lambda v: (
            f"Subgroups: no group has {v['least']} images inside and outside, so "
            "nothing can be said about them."
        ),
    ),
    "biased_group": Kind(CARE, _biased_group),
    "no_biased_group": Kind(
        FINE,
        lambda v: (
            f"Agreement: in none of {count(v['groups'], 'groups')} is the global score "
            "too high or too low beyond chance."
        ),
    ),
    "attribution": Kind(FINE, _attribution(_RANDOM + "low, as it should be.")),
    "attribution_unspecific": Kind(
        CARE, _attribution(_RANDOM + "the maps say little about what was learned.")
    ),
    "attribution_flat": Kind(
        CARE, _attribution("The maps are flat: no comparison with random weights.")
    ),
}

KINDS: dict[str, Kind] = _OF_DATA | _OF_MODEL
