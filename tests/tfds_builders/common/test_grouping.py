"""Patients, copies and patients.csv, joined into what may not be torn apart."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfds_builders.common.errors import InputError
from tfds_builders.common.grouping import grouping


def one_label(group_of):
    return dict.fromkeys(group_of, "x")


def test_copies_alone(tmp_path):
    group_of = {"a": "a", "b": "a", "c": "c"}
    found = grouping(tmp_path, group_of, {"a": "x", "b": "y", "c": "x"})
    assert found.patient_of == group_of
    assert found.unit == "near-duplicate groups"
    assert found.counts == {
        "near_duplicate_groups": 1,
        "near_duplicate_images": 2,
        "near_duplicate_groups_of_several_classes": 1,
    }


def test_all_patients_named(tmp_path):
    group_of = {"a": "a", "b": "a", "c": "c"}
    named = {"a": "P2", "b": "P1", "c": "P3"}
    found = grouping(tmp_path, group_of, one_label(group_of), named)
    assert found.patient_of == {"a": "P1", "b": "P1", "c": "P3"}
    assert found.unit == "patients"
    merged = "patients_joined_by_copies"
    assert found.counts[merged] == 2
    assert found.counts["images_without_patient"] == 0


def test_some_patients_named_and_the_user_knows_better(tmp_path):
    (tmp_path / "patients.csv").write_text("example_id,patient\nc,P9\n")
    group_of = {name: name for name in "abcd"}
    found = grouping(tmp_path, group_of, one_label(group_of), {"b": "P9", "c": "P3"})
    assert found.patient_of == {"a": "a", "b": "P9", "c": "P9", "d": "d"}
    assert found.unit == "patients or near-duplicate groups"
    # One film listed takes the others of its patient along: apart, they would leak.
    found = grouping(tmp_path, group_of, one_label(group_of), {"b": "P3", "c": "P3"})
    assert found.patient_of == {"a": "a", "b": "P9", "c": "P9", "d": "d"}
    (tmp_path / "patients.csv").write_text("example_id,patient\nz,P9\n")
    with pytest.raises(InputError, match="not in the release: z"):
        grouping(tmp_path, group_of, one_label(group_of))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_closed_under_both_relations(tmp_path_factory, data):
    names = [f"n{k}" for k in range(data.draw(st.integers(1, 12)))]
    # Groups are named after their smallest member, as `duplicates.groups` does.
    group = {name: data.draw(st.integers(0, 5)) for name in names}
    group_of = {n: min(m for m in names if group[m] == group[n]) for n in names}
    known = {
        n: f"P{data.draw(st.integers(0, 4))}" for n in names if data.draw(st.booleans())
    }
    empty = tmp_path_factory.getbasetemp()
    found = grouping(empty, group_of, one_label(group_of), known).patient_of
    # The same by scipy: two images are joined where group or patient agree.
    pairs = [
        (i, j)
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if group_of[one] == group_of[other]
        or (one in known and known[one] == known.get(other))
    ]
    rows, columns = zip(*pairs, strict=True)
    graph = coo_array(([1] * len(pairs), (rows, columns)), shape=(len(names),) * 2)
    component = connected_components(graph, directed=False)[1]
    joined = collections.defaultdict(set)
    for name, k in zip(names, component, strict=True):
        joined[k].add(found[name])
    assert all(len(patients) == 1 for patients in joined.values())
    assert len(set().union(*joined.values())) == len(joined)
    for k, (patient,) in joined.items():
        of_it = {
            known[n]
            for n, c in zip(names, component, strict=True)
            if c == k and n in known
        }
        assert patient == min(of_it) if of_it else patient in group_of.values()
