import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfds_builders.common.errors import InputError
from tfds_builders.common.patients import join, read_patients


def read(folder, text):
    (folder / "patients.csv").write_bytes(text.encode())
    return read_patients(folder, ["a", "b", "c"])


@pytest.mark.parametrize(
    "text",
    [
        "example_id,patient\na,7\nc,ann\n",
        "\ufeffpatient;example_id;sex\r\n7; a;F\r\nann;c;\r\n",
    ],
)
def test_read(tmp_path, text):
    assert read(tmp_path, text) == {"a": "7", "c": "ann"}


def test_absent(tmp_path):
    assert read_patients(tmp_path, ["a"]) is None


def test_a_link_to_nowhere_is_not_absent(tmp_path):
    (tmp_path / "patients.csv").symlink_to(tmp_path / "unmounted" / "patients.csv")
    with pytest.raises(InputError, match="patients.csv"):
        read_patients(tmp_path, ["a"])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,1\nd,2", "1 example_ids are not in the release: d"),
        ("a.jpg,1", "a.jpg"),
        ("a,1\nb,1\na,1", "listed more than once: a"),
        ("a,1\nb,", "1 rows have no patient: b"),
        ("a,1,2", "3 cells under 2 columns.*columns example_id and patient"),
        ("", "no rows.*columns example_id and patient"),
    ],
)
def test_mistakes(tmp_path, rows, words):
    with pytest.raises(InputError, match=f"(?s)patients.csv.*{words}"):
        read(tmp_path, f"example_id,patient\n{rows}\n")


def test_groups_join_patients_under_the_smallest_name():
    group_of = {"a": "a", "b": "a", "c": "c", "d": "c", "e": "e", "f": "f", "g": "f"}
    patient_of = {"a": "9", "b": "5", "c": "5", "d": "7", "e": "2"}
    # 9 - 5 in group a, 5 - 7 in group c; 2 alone; nobody knows f and g.
    assert join(group_of, patient_of) == {
        **dict.fromkeys("abcd", "5"),
        "e": "2",
        "f": "f",
        "g": "f",
    }
    assert join(group_of, {}) == group_of
    assert join(group_of, {"g": "z"})["f"] == "z"  # unlisted, but a copy of g


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_join_is_the_closure_of_both_relations(data):
    images = [f"i{k:02d}" for k in range(data.draw(st.integers(1, 20)))]
    group_of = {i: f"g{data.draw(st.integers(0, 9))}" for i in images}
    patient_of = {
        i: f"p{data.draw(st.integers(0, 9))}"
        for i in images
        if data.draw(st.booleans())
    }
    names = [*images, *sorted({*group_of.values(), *patient_of.values()})]
    edges = [*group_of.items(), *patient_of.items()]
    i, j = ([names.index(edge[k]) for edge in edges] for k in (0, 1))
    graph = coo_array(([1] * len(edges), (i, j)), shape=(len(names),) * 2)
    labels = connected_components(graph, directed=False)[1]
    expected = {}
    for image in images:
        label = labels[names.index(image)]
        part = {n for n, at in zip(names, labels, strict=True) if at == label}
        patients = part & set(patient_of.values())
        expected[image] = min(patients or part & set(group_of.values()))
    assert join(group_of, patient_of) == expected
