import hashlib
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.splits import by_split, fold_of, split_of, train_or_val

NAMES = [f"P{i:04d}" for i in range(20_000)]

# Computed with sha256sum. A change here is a new MAJOR version of every dataset.
KNOWN = [
    ("P0001", 0, "test"),
    ("P2255", 1, "train"),
    ("COVID-1", 4, "train"),
    ("Viral Pneumonia-1345", 0, "test"),
    ("4b54174cff37af0ae15c6ee8ab24129c", 2, "train"),
    ("", 2, "train"),
    ("ä", 2, "train"),
    ("Normal-7", 3, "val"),
    ("P0010", 4, "train"),
    ("P0004", 3, "train"),
]


@pytest.mark.parametrize(("name", "fold", "split"), KNOWN)
def test_known_for_ever(name, fold, split):
    assert fold_of(name) == fold
    assert split_of(name) == split


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8")), st.integers(2, 10))
def test_fold_is_a_hash_of_the_text(name, folds):
    digest = hashlib.sha256(b"cxr_jax fold " + name.encode()).hexdigest()
    assert fold_of(name, folds) == int(digest[:16], 16) % folds


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_default_split_is_fold_0_and_each_group_is_tested_once(name):
    splits = [split_of(name, fold) for fold in range(5)]
    assert split_of(name) == splits[0]
    assert splits.count("test") == 1
    assert splits.index("test") == fold_of(name)
    # Whatever the fold, a group that is not tested is on the same side.
    assert {s for s in splits if s != "test"} == {train_or_val(name)}


@pytest.mark.parametrize("fold", range(5))
def test_fractions(fold):
    count = {"train": 0, "val": 0, "test": 0}
    for name in NAMES:
        count[split_of(name, fold)] += 1
    # Four standard deviations of a binomial with n = 20,000 are at most 1.3 %.
    for split, expected in {"train": 0.7, "val": 0.1, "test": 0.2}.items():
        assert abs(count[split] / len(NAMES) - expected) < 0.013


def test_by_split_is_complete_and_mixed():
    parts = by_split(NAMES[:1000], split_of, name=lambda name: name)
    assert list(parts) == ["train", "val", "test"]
    assert sorted(chain(*parts.values())) == NAMES[:1000]
    assert all(split_of(n) == split for split, part in parts.items() for n in part)
    again = by_split(reversed(NAMES[:1000]), split_of, name=lambda name: name)
    assert again == parts
    # The first half of train is a fair sample of it: names do not come in order.
    half = parts["train"][: len(parts["train"]) // 2]
    low = sum(name < "P0500" for name in half) / len(half)
    assert 0.4 < low < 0.6


def test_by_split_offers_empty_parts():
    assert by_split(["a"], lambda _: "val", name=str) == {
        "train": [],
        "val": ["a"],
        "test": [],
    }
