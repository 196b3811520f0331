"""The map of findings, against the values that the releases are known to hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfds_builders.covid_chestxray.findings import CLASSES, class_of, path_of

# Every path of the last edition.
LATE = {
    "No Finding": "No Finding",
    "Tuberculosis": "Tuberculosis",
    "Pneumonia": "Other pneumonia",
    "Pneumonia/Aspiration": "Other pneumonia",
    "Pneumonia/Lipoid": "Other pneumonia",
    "Pneumonia/Viral/COVID-19": "COVID-19",
    "Pneumonia/Viral/SARS": "Other viral",
    "Pneumonia/Viral/MERS-CoV": "Other viral",
    "Pneumonia/Viral/Varicella": "Other viral",
    "Pneumonia/Viral/Herpes": "Other viral",
    "Pneumonia/Viral/Influenza": "Other viral",
    "Pneumonia/Viral/Influenza/H1N1": "Other viral",
    "Pneumonia/Bacterial": "Bacterial",
    "Pneumonia/Bacterial/Streptococcus": "Bacterial",
    "Pneumonia/Bacterial/Klebsiella": "Bacterial",
    "Pneumonia/Bacterial/Legionella": "Bacterial",
    "Pneumonia/Bacterial/Chlamydophila": "Bacterial",
    "Pneumonia/Bacterial/E.Coli": "Bacterial",
    "Pneumonia/Bacterial/Mycoplasma": "Bacterial",
    "Pneumonia/Bacterial/Nocardia": "Bacterial",
    "Pneumonia/Bacterial/Staphylococcus/MRSA": "Bacterial",
    "Pneumonia/Fungal/Pneumocystis": "Fungal",
    "Pneumonia/Fungal/Aspergillosis": "Fungal",
}
# Every name of the last flat editions, as they are written there.
FLAT = [
    *("COVID-19", "ARDS", "SARS", "Pneumocystis", "Streptococcus", "No Finding"),
    *("Chlamydophila", "E.Coli", "COVID-19, ARDS", "Klebsiella", "Legionella"),
    *("Pneumonia", "Lipoid", "Varicella", "Bacterial", "Influenza"),
    *("Mycoplasma Bacterial Pneumonia", "Cryptogenic Organizing Pneumonia"),
    *("Lobar Pneumonia", "Multilobar Pneumonia", "Organizing Pneumonia"),
    *("Eosinophilic Pneumonia", "Unusual Interstitial Pneumonia"),
    *("Lymphocytic Interstitial Pneumonia", "Desquamative Interstitial Pneumonia"),
    *("Spinal Tuberculosis", "Swine-Origin Influenza A (H1N1) Viral Pneumonia"),
    *("Tuberculosis", "Invasive Aspergillosis", "Herpes pneumonia"),
    *("Herpes pneumonia, ARDS", "Accelerated Phase Usual Interstitial Pneumonia"),
    *("Round pneumonia", "Lymphocytic interstitial pneumonia"),
    *("Allergic bronchopulmonary aspergillosis ", "Cryptogenic organising pneumonia"),
    *("Chronic eosinophilic pneumonia", "Aspiration pneumonia", "Nocardia"),
    *("MERS-CoV", "Eosinophilic pneumonia", "Cryptogenic organizing pneumonia", "MRSA"),
]


def test_paths():
    assert set(LATE.values()) == set(CLASSES)
    for path, name in LATE.items():
        assert path_of(path) == path
        assert class_of(path) == name
    assert path_of("Pneumonia/Viral/Herpes ") == "Pneumonia/Viral/Herpes"


def test_flat_names_become_paths_of_the_last_edition():
    assert {path_of(name) for name in FLAT} == LATE.keys()
    assert path_of("COVID-19, ARDS") == path_of("covid-19") == path_of("COVID-19")
    assert path_of("ARDS") == "Pneumonia"


@pytest.mark.parametrize("finding", ["", "todo", "Unknown", "Hantavirus", "Trauma/Rib"])
def test_no_class(finding):
    assert path_of(finding) == finding
    assert class_of(finding) is None


def test_two_causes_have_no_class():
    assert class_of(path_of("COVID-19, Streptococcus")) is None


@given(st.sampled_from(sorted(LATE)), st.text("abc -/.", max_size=12))
def test_what_is_below_a_path_has_its_class(path, leaf):
    below = path_of(f"{path}/{leaf}")
    assert path_of(below) == below
    expected = LATE[path]
    if path == "Pneumonia":  # its branches have classes of their own; none of them here
        assert below.split("/")[1] not in ("Viral", "Bacterial", "Fungal")
    assert class_of(below) == expected
