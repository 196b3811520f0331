"""The lists of COVIDx CT: which is the newest, and any line is read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.splits import SPLITS
from tfds_builders.covidx_ct.layout import LABELS, find_lists, parse_row


def test_newest_lists_are_taken(tmp_path):
    assert find_lists(tmp_path) is None
    names = ["COVIDx-CT_v2A", "COVIDx_CT-3A", "COVIDx_CT-3B", "COVIDx-CT_v1"]
    for split in SPLITS:
        for name in names:
            (tmp_path / f"{split}_{name}.txt").touch()
    for name in ("train_COVIDx_CT-4A", "test_COVIDx_CT-4A", "train_select", "val"):
        (tmp_path / f"{name}.txt").touch()
    version, paths = find_lists(tmp_path)
    assert version == "COVIDx_CT-3A"
    assert [path.name for path in paths.values()] == [
        f"{split}_COVIDx_CT-3A.txt" for split in SPLITS
    ]


@settings(max_examples=100)
@given(
    stem=st.text(min_size=1).filter(lambda text: text.split() == [text]),
    label=st.integers(0, 2),
    box=st.tuples(*[st.integers(0, 999)] * 4),
)
def test_any_line_is_read_back(stem, label, box):
    x, y = sorted(box[::2]), sorted(box[1::2])
    row = parse_row(f"{stem}.png {label} {x[0]} {y[0]} {x[1]} {y[1]}\r")
    if x[0] == x[1] or y[0] == y[1]:
        assert row is None  # a box without a pixel
    else:
        expected = (f"{stem}.png", LABELS[label], (x[0], y[0], x[1], y[1]))
        assert row == expected


@pytest.mark.parametrize(
    "line",
    [
        "a.png 1 0 0 5",
        "a.png 3 0 0 5 5",
        "a.png 1 -1 0 5 5",
        "a.png 1 0 0 5.0 5",
        "a.dcm 1 0 0 5 5",
        "a b.png 1 0 0 5 5",
        "a.png 1 0 0 ² 5",
    ],
)
def test_lines_that_are_none(line):
    assert parse_row(line) is None
