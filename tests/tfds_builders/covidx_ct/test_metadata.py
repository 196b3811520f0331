"""The patient of a slice of COVIDx CT, from the file name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.covidx_ct.metadata import find_patient, guess_patient

WORD = st.text("abcXYZ0189.", min_size=1, max_size=4)
WORDS = st.lists(WORD, min_size=1, max_size=3)


@settings(max_examples=150)
@given(
    before=WORDS | st.just([]),
    name=WORDS,
    after=WORDS | st.just([]),
    ends=st.tuples(*[st.sampled_from("-_")] * 2),
    others=st.lists(WORDS, max_size=3),
)
def test_a_known_patient_is_found_anywhere_in_a_name(before, name, after, ends, others):
    patient_id = "p_" + "-".join(name)
    stem = "_".join(before) + ends[0] * bool(before) + patient_id
    stem += ends[1] * bool(after) + "-".join(after)
    longer = {
        patient_id + "x",
        "x" + patient_id,
        "q" + "_".join(others[0] if others else ""),
    }
    assert find_patient(stem, {patient_id} | longer) == patient_id
    assert find_patient(stem, longer) is None


@pytest.mark.parametrize(
    ("stem", "known", "found"),
    [
        ("NCP_341_1834_0022", {"NCP_34", "NCP_341", "CP_341", "341"}, "NCP_341"),
        ("137covid_patient59_SR_3_IM00027", {"patient5", "patient59"}, "patient59"),
        ("volume-A-0256_1_ct-0012", {"volume-A-0256"}, "volume-A-0256"),
        (
            "volume-A-0256_1_ct-0012",
            {"volume-A-0256", "volume-A-0256_1"},
            "volume-A-0256_1",
        ),
        ("x-7-0012", {"7", "0012"}, None),  # a scan's number is no patient
        ("7-0012", {"7"}, "7"),
    ],
)
def test_patients_of_real_names(stem, known, found):
    assert find_patient(stem, known) == found


@pytest.mark.parametrize(
    ("stem", "guess"),
    [
        ("NCP_341_1834_0022", "NCP_341"),
        ("Normal_1_2_0003", "Normal_1"),
        ("normal2_patient318_SR_2_IM00007", "patient318"),
        ("HUST-Patient418-0012", "HUST-Patient418"),
        ("coronacases_org_001-0050", "coronacases_org_001"),
    ],
)
def test_patients_that_no_table_names(stem, guess):
    assert guess_patient(stem) == guess
