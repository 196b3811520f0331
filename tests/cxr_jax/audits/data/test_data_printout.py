import numpy as np
import pytest
import toys

from cxr_jax.audits.data import data_printout, findings
from cxr_jax.audits.data.association import Association
from cxr_jax.audits.data.baselines import Baseline
from cxr_jax.audits.verdicts import CARE, verdict
from cxr_jax.data.attributes import Attribute, LeftOut
from cxr_jax.runs import text_table
from cxr_jax.stats.estimate import Estimate

NAN = float("nan")


@pytest.fixture
def one():
    names = [f"a{k}" for k in range(4)]
    return toys.make_dataset({"train": toys.rows(names)})


def baseline(name, classes, value=0.83):
    estimate = Estimate(value, value - 0.01, value + 0.01, 9)
    return Baseline(name, "", estimate, dict.fromkeys(classes, estimate))


def test_the_verdict_comes_first_and_says_what_is_allowed():
    leak = verdict(
        "patients_across_splits", dataset="toy/1", split="test", other_split="train",
        patients=1, unit="patients", images=2, of=6,
    )  # fmt: skip
    other = verdict("blank_images", dataset="toy/1", images=3, of=9, examples="a")
    assert data_printout.verdict([]) == ["No leakage found"]
    lines = data_printout.verdict([leak, other])
    assert lines[0] == "LEAKAGE: 1 finding"
    assert lines[1].startswith("  LEAK     toy/1: 1 patient of test")
    assert any(line.startswith("  care     toy/1: 3 of 9") for line in lines)
    allowed = leak._replace(severity=CARE, values={**leak.values, "allowed": True})
    lines = data_printout.verdict([allowed])
    assert lines[0] == "No leakage found, other than what is allowed"
    assert lines[1].startswith("  allowed  toy/1")
    for kind in ("patients_unnamed", "patients_mixed"):
        unknown = verdict(
            kind, dataset="toy/1", unit="images", suggested=[("(a)_", 9, 4)]
        )
        head, *_ = data_printout.verdict([unknown])
        assert head.startswith("No copies across splits found; patients are not known")
        assert "No leakage" not in head
    unnamed = verdict(
        "patients_unnamed", dataset="toy/1", unit="images", suggested=[("(a)_", 9, 4)]
    )
    assert "--patients_from='(a)_'" in "".join(data_printout.verdict([unnamed]))


def test_what_stands_for_patients_is_a_verdict(one):
    def kinds(unit, **changes):
        changed = one.first._replace(unit=unit, **changes)
        return [
            each.kind
            for each in findings.of_dataset(one._replace(splits={"train": changed}))
        ]

    assert kinds("images") == ["patients_unnamed"]
    assert kinds("patients or near-duplicate groups") == ["patients_mixed"]
    assert kinds("patients", synthetic=True) == ["synthetic"]
    assert kinds("patients") == []


def test_the_baselines_of_two_of_four_and_of_more_classes(one):
    lines = data_printout.shortcuts(one, [baseline("border", ["P"])])
    assert lines[0] == "Without looking at a lung, toy/1 (P)"
    assert lines[2].split() == ["border", "0.830", "0.820", "to", "0.840"]
    reason = Baseline(
        "size", "", Estimate(NAN, NAN, NAN, 9, "nothing that differs"), {}
    )
    lines = data_printout.shortcuts(one, [baseline("thumbnail", ["P"]), reason])
    assert lines[2].startswith("  (thumbnail)")
    assert lines[3].split() == ["size", "n/a"]
    assert lines[4] == "  size: nothing that differs"
    for names in ("abcd", [f"a class of a rather long name {k}" for k in range(9)]):
        target = one.target._replace(classes=tuple(names))
        many = one._replace(target=target)
        lines = data_printout.shortcuts(many, [baseline("border", names), reason])
        assert max(map(len, lines)) <= text_table.WIDTH
    assert "a class of a rather l... 0.830" in lines[2]
    none = one._replace(target=one.target._replace(classes=()))
    assert data_printout.shortcuts(none, []) == [
        "toy/1 has no label: no baselines without a lung"
    ]
    assert data_printout.associations(none, [], {}) == []


def test_associations_are_a_row_each(one):
    sex = Attribute("sex", None, np.zeros(4, int), ("M", "missing"), np.ones(4, bool))
    v = Association("Cramer's V", 0.5, 0.6, 0.0001, "chi-square", 4)
    left_out = {"view": LeftOut("always PA", always="PA"), "x_id": LeftOut("names")}
    lines = data_printout.associations(one, [(sex, v)], left_out)
    assert lines[2].split() == [
        "sex",
        "Cramer's",
        "V",
        "0.500",
        "<0.001",
        "4",
        "2",
        "4",
    ]
    assert lines[3] == "  the same for all images: view (PA)"
    assert data_printout.associations(one, [], {})[1] == "  no such column"


def test_a_table_fits_the_terminal():
    rows = [["a name that is much too long for a column " * 3, "1.000", "word"]]
    for line in text_table.lines(["", "number", "text"], rows):
        assert len(line) <= text_table.WIDTH
    assert text_table.lines(["", "n"], [["a", "10"], ["bc", "3"]]) == [
        "       n",
        "  a   10",
        "  bc   3",
    ]
    assert text_table.count(1, "images") == "1 image"
    assert (
        text_table.count(1200, "near-duplicate groups") == "1,200 near-duplicate groups"
    )
    shares = [text_table.percent(s) for s in (0, 0.0004, 0.004, 0.0994, 0.25, 1)]
    assert shares == ["0 %", "<0.1 %", "0.4 %", "9.9 %", "25 %", "100 %"]
    probabilities = [text_table.probability(p) for p in (1e-9, 0.0344, 1.0, NAN)]
    assert probabilities == ["<0.001", "0.034", "1.000", "n/a"]
