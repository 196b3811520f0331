import numpy as np
import pytest
import toys

from cxr_jax.audits.data import collection, findings
from cxr_jax.audits.verdicts import CARE, STOP, verdict
from cxr_jax.data import fingerprints
from tfds_builders.common.errors import InputError


def names(letter, n=6):
    return [f"{letter}{k}" for k in range(n)]


def find(*datasets, allowed=()):
    shown = [fingerprints.read(one.splits.values()) for one in datasets]
    found = collection.find_all(collection.collect(list(datasets), shown), allowed)
    return {(f.kind, where(f)): f.values["images"] for f in found}, found


def where(found):
    """'toy/1', or 'ext/2 and toy/1' of copies in two datasets."""
    return " and ".join(filter(None, map(found.values.get, ("dataset", "other"))))


def leaks(listed):
    return [findings.is_leak(each) for each in listed]


def test_a_clean_dataset_has_no_findings():
    parts = {s: toys.rows(names(s)) for s in ("train", "val", "test")}
    assert find(toys.make_dataset(parts)) == ({}, [])


def test_planted_copies_across_splits_are_found():
    train, test = toys.rows(names("a")), toys.rows(names("b"))
    test["patient_id"][4:] = ["a1", "a1"]
    shown = {"train": toys.drawn(train), "test": toys.drawn(test)}
    shown["test"][0] = shown["train"][2]  # under another name and patient
    shown["test"][1] = toys.jpeg_copy(shown["train"][3])
    shown["test"][2] = shown["test"][3]
    shown["train"][5] = np.full((30, 30), 7, np.uint8)
    one = toys.make_dataset({"train": train, "test": test}, shown)
    found, listed = find(one)
    assert found == {
        ("patients_across_splits", "toy/1"): 2,
        ("identical_images_across_splits", "toy/1"): 1,
        ("near_duplicates_across_splits", "toy/1"): 1,
        ("identical_images_within_a_split", "toy/1"): 2,
        ("copies_with_different_labels", "toy/1"): 2,  # test images 2 and 3
        ("blank_images", "toy/1"): 1,
    }
    assert leaks(listed) == [True] * 3 + [False] * 3
    patients, copies, blank = (listed[k].values for k in (0, 1, -1))
    assert (patients["patients"], patients["of"]) == (1, 6)
    for values in (patients, copies):
        assert (values["split"], values["other_split"]) == ("test", "train")
    assert "a5" in blank["examples"]


def test_allowed_leaks_are_lowered_but_still_reported():
    train = toys.rows(names("a"))
    test = toys.rows(names("b"), patients=names("a"))
    one = toys.make_dataset({"train": train, "test": test})
    found, listed = find(one, allowed=["patients_across_splits"])
    assert found == {("patients_across_splits", "toy/1"): 6}
    assert listed[0].severity == CARE and listed[0].values["allowed"]
    assert leaks(listed) == [False]


@pytest.mark.parametrize(
    "name, message",
    [("leakage", "'leakage' is unknown"), ("blank_images", "is only a warning")],
)
def test_other_names_cannot_be_allowed(name, message):
    with pytest.raises(InputError, match=message) as error:
        findings.check_allowed(["patients_across_splits", name])
    for known in findings.LEAKS:
        assert known in str(error.value)


def test_copies_with_different_scores():
    train = toys.rows(names("a"), scores=np.zeros((6, 6), np.int64))
    train["scores"][:, 2] = [1, 1, 2, 0, 0, -1]
    del train["label"]
    shown = toys.drawn(train)
    shown[1] = shown[0]  # the same score
    shown[3] = shown[2]  # another
    shown[5] = shown[4]  # unknown
    one = toys.make_dataset({"train": train}, {"train": shown}, classes=())
    found, _ = find(one)
    assert found["copies_with_different_labels", "toy/1"] == 2
    assert found["identical_images_within_a_split", "toy/1"] == 6


@pytest.fixture
def two():
    """Of 'ext', test holds a copy of each split of 'toy', and train one of its train."""
    own = {s: toys.rows(names(s)) for s in ("train", "val", "test")}
    shown = {s: toys.drawn(table) for s, table in own.items()}
    theirs = {s: toys.rows(names(s.upper())) for s in ("train", "test")}
    copied = {s: toys.drawn(table) for s, table in theirs.items()}
    copied["test"][0] = shown["train"][0]
    copied["test"][1] = toys.jpeg_copy(shown["val"][1])
    copied["test"][2] = shown["test"][2]
    copied["train"][3] = toys.jpeg_copy(shown["train"][3])
    copied["train"][4] = copied["test"][4]
    return (
        toys.make_dataset(own, shown),
        toys.make_dataset(theirs, copied, name="ext/2"),
    )


def test_copies_across_datasets_are_warnings(two):
    found, listed = find(*two)
    assert found == {
        ("identical_images_across_splits", "ext/2"): 1,
        ("identical_images_across_datasets", "ext/2 and toy/1"): 2,
        ("near_duplicates_across_datasets", "ext/2 and toy/1"): 2,
    }
    assert leaks(listed) == [True, False, False]


def test_copies_of_train_and_val_in_an_external_test_set_are_leakage(two):
    own, other = two
    found, listed = find(own, other._replace(tested="test"))
    where = "ext/2 and toy/1"
    assert found == {
        ("identical_images_in_external_test", where): 1,
        ("near_duplicates_in_external_test", where): 1,
        # Of test in test, and of train in train: nobody is fooled, yet.
        ("identical_images_across_datasets", where): 1,
        ("near_duplicates_across_datasets", where): 1,
    }
    assert leaks(listed) == [True, True, False, False]
    assert listed[2].values["of"] == 12 and listed[2].values["besides"]


def test_pairs_are_counted_by_kind(two):
    own, other = two[0], two[1]._replace(tested="test")
    shown = [fingerprints.read(one.splits.values()) for one in (own, other)]
    everything = collection.collect([own, other], shown)
    kinds = [kind for kind, _ in collection.pairs(everything)]
    assert kinds == ["in an external test"] * 2 + ["across datasets"] * 2
    first = collection.pairs(everything)[0][1]
    assert first.identical
    assert [everything.find(k)[0].name for k in first[:2]] == ["toy/1", "ext/2"]
    assert [everything.find(k)[1] for k in first[:2]] == [0, 6]
    whole = collection.overlaps(everything, by_split=False)
    assert whole == [
        {
            "images_of": one,
            "in": another,
            "identical": 2,
            "near_duplicates": 2,
            "of": size,
        }
        for one, another, size in (("toy/1", "ext/2", 18), ("ext/2", "toy/1", 12))
    ]
    parts = collection.overlaps(everything, by_split=True)
    told = {(p["images_of"], p["in"]): p["identical"] for p in parts}
    assert told["ext/2:test", "toy/1:train"] == 1
    assert ("ext/2:train", "ext/2:test") not in told


def test_leaks_come_first():
    kinds = ("blank_images", "near_duplicates_across_splits", "patients_across_splits")
    found = findings.allow([verdict(kind) for kind in kinds], kinds[2:])
    assert [each.kind for each in found] == [kinds[1], kinds[2], kinds[0]]
    assert [each.severity for each in found] == [STOP, CARE, CARE]
