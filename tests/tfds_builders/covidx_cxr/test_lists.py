"""The lists of COVIDx CXR: which is the newest, and any line is read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.covidx_cxr.layout import BINARY, LABELS
from tfds_builders.covidx_cxr.lists import find_lists, parse_row


def test_newest_lists_come_first(tmp_path):
    names = ["", "_COVIDx", "_COVIDx9A", "_COVIDx8B", "_split_v3", "_pnemunia"]
    names += ["_COVIDx_CXR-3A", "_COVIDx_CXR-4", "_COVIDx5"]
    (tmp_path / "labels").mkdir()
    for name in [*names, "_COVIDx_CT-2A"]:
        for split in ("train", "test"):
            folder = tmp_path if "9" in name else tmp_path / "labels"
            (folder / f"{split}{name}.txt").touch()
    (tmp_path / "labels" / "test_COVIDx7A.txt").touch()  # without its train list
    (tmp_path / "labels" / "Val_COVIDx5.txt").touch()
    (tmp_path / "labels" / "train_COVIDx9A.txt").touch()
    found = find_lists(tmp_path)
    assert [lists.version for lists in found] == (
        ["", "COVIDx_CXR-4", "COVIDx_CXR-3A", "COVIDx9A", "COVIDx8B"]
        + ["COVIDx5", "COVIDx", "split_v3", "pnemunia"]
    )
    assert set(found[5].paths) == {"train", "test", "val"}
    assert found[3].paths["train"] == tmp_path / "train_COVIDx9A.txt"


ALL = [label for labels in LABELS.values() for label in labels]
WORD = st.text(min_size=1).filter(lambda text: text.split() == [text])


@settings(max_examples=150)
@given(
    patient=st.lists(WORD | st.sampled_from([*ALL, "1.png"]), min_size=1, max_size=4),
    stem=WORD | st.sampled_from(["COVID(1)", "positive", "a.b", "COVID-19"]),
    suffix=st.sampled_from([".png", ".jpg", ".JPG", ".jpeg"]),
    labels=st.sampled_from(list(LABELS.values())),
    number=st.integers(0, 2),
    source=st.just("") | WORD | st.sampled_from(["sirm", *ALL]),
)
def test_any_line_is_read_back(patient, stem, suffix, labels, number, source):
    label = labels[number % len(labels)]
    file_name = stem + suffix
    line = "  ".join([*patient, file_name, label, source]).rstrip() + " \r"
    expected = (" ".join(patient), file_name, label, source)
    assert parse_row(line, labels) == expected


@pytest.mark.parametrize(
    "line",
    [
        "COVID(1).png positive sirm",  # no patient
        "1 positive sirm",  # no picture
        "1 2 positive positive",  # which of them is the label?
        "1 COVID(1).png sirm positive x",  # more words than there may be
        "1 COVID(1).png unknown sirm",
        "1 a.png positive two words",
        "positive",
        "1 positive",
    ],
)
def test_lines_that_are_none(line):
    assert parse_row(line, BINARY) is None


def test_a_file_may_be_named_without_its_ending():
    assert parse_row("1 COVID(1) positive sirm", BINARY) == (
        "1",
        "COVID(1)",
        "positive",
        "sirm",
    )
    assert parse_row("P 7 1-s2.0-S09 negative", BINARY)[:2] == ("P 7", "1-s2.0-S09")
