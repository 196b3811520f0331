"""What results take from a film, whatever its header is like."""

import io

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_films import film
from node_results import read_back, scored
from pydicom.charset import encode_string
from pydicom.dataset import Dataset

from cxr_jax.serve.objects import make
from cxr_jax.serve.objects.origin import origin
from tfds_builders.common.errors import InputError


def sent(header: Dataset) -> Dataset:
    """As it comes over the network."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(buffer.getvalue()))


def test_patient_and_study_are_those_of_the_film(brixia, tmp_path):
    header, result = scored(
        brixia,
        tmp_path,
        PatientBirthDate="19500230",
        StudyDate="20200301",
        StudyTime="101112.5",
        StudyID="S1",
        ReferringPhysicianName="Doe^Jane",
        PatientAge="070Y",
    )
    for made in make(header, result, brixia, ["sr", "sc", "pdf"]):
        found = read_back(made)
        for name in (
            *("PatientName", "PatientID", "PatientSex", "PatientBirthDate"),
            *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID"),
            *("AccessionNumber", "ReferringPhysicianName"),
        ):
            assert found[name].value == header[name].value, name
        assert found.SeriesInstanceUID != header.SeriesInstanceUID
        assert (found.ContentDate, found.ContentTime) == ("20200301", "101112")


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_of_all_character_sets_come_through(charset, name):
    header = sent(film(1, SpecificCharacterSet=charset, PatientName=name))
    assert encode_string  # the film is written by pydicom in that set
    found = origin(header).header
    made = Dataset()
    made.update(found)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, implicit_vr=False, little_endian=True)
    back = pydicom.dcmread(io.BytesIO(buffer.getvalue()), force=True)
    assert back.SpecificCharacterSet == "ISO_IR 192"
    assert str(back.PatientName) == name


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=20))
def test_any_text_can_be_written_and_read(patient, study, date):
    header = film(1)
    with pydicom.config.disable_value_validation():
        header.PatientID, header.StudyID = patient, study
        header.StudyDate = date
        found = origin(header).header
        found.file_meta = header.file_meta
        back = _written(found)
    assert not any(ord(each) < 32 for each in str(back.PatientID))
    assert back.StudyDate in ("", date)


def _written(header: Dataset) -> Dataset:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, implicit_vr=False, little_endian=True)
    return pydicom.dcmread(io.BytesIO(buffer.getvalue()), force=True)


def test_what_the_film_lacks_is_there_and_empty():
    header = film(1)
    for name in ("PatientName", "PatientID", "AccessionNumber", "PatientSex"):
        delattr(header, name)
    found = origin(header).header
    for name in (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID"),
        *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
    ):
        assert name in found
        assert not found[name].value


@pytest.mark.parametrize(
    ("tags", "moment"),
    [
        ({}, ("19000101", "000000")),
        ({"StudyDate": "20200301"}, ("20200301", "000000")),
        ({"StudyDate": "20200301", "StudyTime": "1011"}, ("20200301", "101100")),
        (
            {"AcquisitionDate": "20200302", "AcquisitionTime": "101112.123"},
            ("20200302", "101112"),
        ),
        ({"StudyDate": "2020-03-01", "StudyTime": "10:11"}, ("19000101", "000000")),
        ({"StudyDate": "20201301"}, ("19000101", "000000")),
    ],
)
def test_the_moment_is_that_of_the_film(tags, moment):
    with pydicom.config.disable_value_validation():
        header = film(1, **tags)
    found = origin(header)
    assert (found.date, found.time) == moment


@pytest.mark.parametrize(
    "name", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
@pytest.mark.parametrize("value", [None, "", "1.2.x", "1." * 40])
def test_a_film_without_one_of_its_uids_is_an_error(name, value):
    header = film(1)
    if value is None:
        delattr(header, name)
    else:
        with pydicom.config.disable_value_validation():
            setattr(header, name, value)
    with pytest.raises(InputError, match=name):
        origin(header)


@pytest.mark.parametrize(
    ("name", "vr", "value"),
    [
        ("StudyDate", "IS", b"abc "),
        ("PatientID", "US", b"\1"),
        ("PatientID", "US", b"\1\2"),
        ("PatientID", "SQ", b"xxxxxxxx"),
        ("PatientName", "OB", b"\xff\xfe"),
        ("PatientSex", "CS", b"female"),
        ("StudyTime", "TM", b"\xff\xff"),
        ("LossyImageCompressionRatio", "DS", b"abc "),
    ],
)
def test_what_is_damaged_or_no_text_is_left_empty(name, vr, value):
    header = film(1, LossyImageCompression="01")
    tag = pydicom.tag.Tag(name)
    damaged = pydicom.dataelem.RawDataElement(
        tag, vr, len(value), value, 0, False, True
    )
    header._dict[tag] = damaged
    found = origin(header)
    assert not found.header.get(name)
    assert name not in found.lossy
    back = _written(found.header)
    assert back.StudyInstanceUID == header.StudyInstanceUID
