import pytest

from tfds_builders.common.errors import InputError
from tfds_builders.common.patient_names import advice, from_names, suggestions

KERMANY = [
    *("test/P/person1_virus_6.jpeg", "test/P/person1_virus_7.jpeg"),
    *("train/P/person2_bacteria_3.jpeg", "train/P/person3_bacteria_9.jpeg"),
    *("train/N/IM-0115-0001.jpeg", "train/N/IM-0115-0002.jpeg"),
    *("test/N/NORMAL2-IM-0115-0001.jpeg", "test/N/IM-0117-0001.jpeg"),
]


def suggest(files, nested=False):
    return suggestions(files, [nested] * len(files))


def test_kermany():
    together, person, normal = suggest(KERMANY)
    assert person == (r"/(person\d+)_", 4, 3)
    assert normal == (r"/(?:NORMAL2-)?(IM-\d+)-", 4, 2)
    assert together == (f"{person.pattern}|{normal.pattern}", 8, 5)
    patients = from_names(together.pattern, dict(zip(KERMANY, KERMANY, strict=True)))
    assert len(patients) == 8 and len(set(patients.values())) == 5
    assert patients["test/N/NORMAL2-IM-0115-0001.jpeg"] == "IM-0115"
    said = advice([tuple(row) for row in (together, person, normal)])
    assert r"--patients_from='/(person\d+)_'" in said
    assert "4 films of 3 patients" in said and "8 films of 5 patients" in said


@pytest.mark.parametrize(
    ("files", "nested", "patients"),
    [
        (["A/patient00001/study1/view1.jpg", "A/patient00001/study1/view2.jpg"]
         + ["B/patient00002/study1/view1.jpg"], True, {"patient00001", "patient00002"}),
        (["A/00000013_005.png", "A/00000013_006.png", "B/00000014_000.png"], False,
         {"00000013", "00000014"}),
        (["A/sub-01_ses-1.png", "A/sub-01_ses-2.png", "B/sub-02_ses-1.png"], False,
         {"sub-01", "sub-02"}),
        (["A/case7-1.png", "A/case7-2.png", "B/case8 1.png"], False, {"case7", "case8"}),
        (["A/Anna/a.dcm", "A/Anna/b.dcm", "B/Berta/a.dcm"], True, {"Anna", "Berta"}),
    ],
)  # fmt: skip
def test_kinds_of_names(files, nested, patients):
    found = suggest(files, nested)
    assert [(c.films, c.patients) for c in found] == [(3, 2)]
    named = from_names(found[0].pattern, dict(zip(files, files, strict=True)))
    assert set(named.values()) == patients


@pytest.mark.parametrize(
    "files",
    [
        [f"A/image ({k}).png" for k in range(50)],  # numbered
        [f"A/COVID-{k}.png" for k in range(50)],
        [f"A/IMG_2020_{k}.png" for k in range(50)],  # one 'patient' of all
        [f"A/person{k}_virus_{k}.png" for k in range(50)],  # nobody twice
        [f"A/{k * 7919:08x}.png" for k in range(50)],
        [],
    ],
)
def test_names_that_tell_nothing(files):
    assert suggest(files) == []
    assert "patients.csv" in advice([])


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("(", "not a regular expression"), ("person", "no group"), ("(xyz)", "none of 8")],
)
def test_patterns_that_cannot_be_used(pattern, found):
    with pytest.raises(InputError, match=found) as error:
        from_names(pattern, dict(zip(KERMANY, KERMANY, strict=True)))
    assert error.value.where == "--patients_from"
