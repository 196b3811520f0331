"""Every kind of verdict that the audits can emit has a severity and words."""

import ast
import json

import pytest
from places import REPOSITORY

from cxr_jax.audits import verdicts
from cxr_jax.audits.data import findings
from cxr_jax.stats.estimate import Estimate, undefined
from tfds_builders.common.errors import InputError

ESTIMATE = Estimate(0.912, 0.853, 0.951, 90)
# A value of every name that the words of some kind need.
VALUES = {
    "dataset": "toy/1", "other": "ext/2", "split": "test", "other_split": "train",
    "patients": 3, "unit": "patients", "images": 7, "of": 90, "examples": "a, b",
    "target": "label", "baseline": "border", "sees": "the border", "metric": "auroc",
    "control": "border only", "whole": ESTIMATE, "left": ESTIMATE, "chance": 0.5,
    "alteration": "blur", "lost": 0.2, "strength": 2, "first": 0.1, "attribute": "sex",
    "group": "F", "groups": 12, "gap": ESTIMATE, "least": 20, "bias": ESTIMATE,
    "low": -3.0, "high": 4.0, "method": "Grad-CAM", "where": "lungs", "area": 0.3,
    "likeness": 0.2, "p": 0.01, "classes": ["P"], "class": "P",
    "shares": {"train": 0.2, "val": 0.4}, "estimate": ESTIMATE,
}  # fmt: skip


def emitted():
    """The kinds that the code of the audits names in a call of `verdict`, or composes."""
    found = set()
    for path in (REPOSITORY / "cxr_jax" / "audits").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in verdicts.KINDS:
                found.add(node.value)
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "")
            if called == "verdict" and isinstance(node.args[0], ast.Constant):
                assert node.args[0].value in verdicts.KINDS, path
    copies = ("identical_images", "near_duplicates")
    places = ("across_splits", "in_external_test", "across_datasets", "within_a_split")
    return found | {f"{what}_{where}" for what in copies for where in places}


def test_every_kind_has_words_and_a_severity():
    assert set(verdicts.KINDS) == emitted()
    for kind, (severity, _) in verdicts.KINDS.items():
        found = verdicts.verdict(kind, **VALUES)
        assert found.severity == severity and severity in verdicts.SEVERITIES
        text = verdicts.words(found)
        assert text.endswith(".") and "{" not in text and "None" not in text, text
        content = json.loads(json.dumps({"verdicts": [found._asdict()]}))
        assert verdicts.from_json(content, "audit.json") == [found]


def test_what_is_not_defined_has_words_too():
    nothing = undefined(90, "one class")
    for kind in verdicts.KINDS:
        found = verdicts.verdict(
            kind, **VALUES | {"estimate": nothing, "first": None, "likeness": None}
        )
        assert "nan" not in verdicts.words(found)


def test_leakage_stops_and_what_weighs_most_comes_first():
    assert all(
        verdicts.KINDS[kind].severity == verdicts.STOP for kind in findings.LEAKS
    )
    kinds = ("no_shortcut", "shortcut", "robustness", "shortcut_helps")
    found = verdicts.by_severity([verdicts.verdict(k, **VALUES) for k in kinds])
    assert [each.kind for each in found] == [
        "shortcut", "shortcut_helps", "no_shortcut", "robustness",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [{}, {"verdicts": ["A sentence."]},
     {"verdicts": [{"kind": "of the future", "severity": "stop", "values": {}}]}],
)  # fmt: skip
def test_verdicts_of_another_version_are_refused(content):
    with pytest.raises(InputError, match=r"(?s)another version.*run the audit again"):
        verdicts.from_json(content, "audit.json")
