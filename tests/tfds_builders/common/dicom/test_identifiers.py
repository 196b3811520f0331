import pydicom
import pytest
from dicom_writer import RAMP, make_header, save
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from tfds_builders.common.dicom.identifiers import DIRECT, identifiers, pseudonym
from tfds_builders.common.dicom.radiograph import read_dicom
from tfds_builders.common.errors import InputError


def header_with(**tags):
    return make_header(RAMP[:2], **tags)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PatientName", "Zanoni^Anna"),
        ("PatientName", "NOTARI^TESTA"),
        ("PatientName", "Nonell^X"),
        ("PatientBirthDate", "19570312"),
        ("PatientAddress", "Via Roma 1, Brescia"),
        ("PatientTelephoneNumbers", "+39 030 123456"),
        ("OtherPatientIDs", ["12345", "6789"]),
        ("AccessionNumber", "2020031400123"),
        ("ReferringPhysicianName", "House^Gregory"),
        ("OperatorsName", "MR"),
    ],
)
@pytest.mark.parametrize("reread", [False, True])
def test_values_that_look_real(tmp_path, name, value, reread):
    header = header_with(**{name: value})
    if reread:  # from the bytes of a file, where values are not yet parsed
        header = pydicom.dcmread(save(tmp_path / "a.dcm", header))
    assert identifiers(header) == (name,)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "PatientName",
            [
                "",
                " ",
                "Anonymous",
                "ANON^17",
                "anonymized",
                "De-identified",
                "^^",
                "p1",
            ],
        ),
        (
            "PatientName",
            ["NONAME", "no name", "Removed", "XXXX^XXXX", "SYNTHETIC", "Doe^John"],
        ),
        ("PatientName", ["Patient^12", "subject_7", "TEST", "N/A", "Unknown", "P-1"]),
        ("PatientBirthDate", ["", "19000101", "19570101", "00000000", "11111111"]),
        ("AccessionNumber", ["", "0", "0000000", "none", "NULL"]),
        ("ReferringPhysicianName", ["", "^", "REDACTED", "Hidden^Doctor"]),
        ("OtherPatientIDs", ["P1", ""]),
    ],
)
def test_values_that_name_nobody(name, values):
    for value in values:
        assert identifiers(header_with(**{name: value})) == (), value


def test_sequences():
    item = pydicom.Dataset()
    item.PatientID = "real"
    assert identifiers(header_with(OtherPatientIDsSequence=[])) == ()
    found = identifiers(header_with(OtherPatientIDsSequence=[item]))
    assert found == ("OtherPatientIDsSequence",)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_all_of_them_in_a_fixed_order(tmp_path, syntax):
    codes = RAMP if syntax.is_little_endian else RAMP.astype(">u2")
    header = make_header(codes, PatientIdentityRemoved="NO", BurnedInAnnotation="YES")
    for name in DIRECT:
        if not name.endswith("Sequence"):
            setattr(header, name, "19570312" if name.endswith("Date") else "Rossi")
    header.OtherPatientIDsSequence = [pydicom.Dataset()]
    xray = read_dicom(save(tmp_path / "a.dcm", header, syntax))
    own = ("BurnedInAnnotation", "PatientIdentityRemoved")
    assert xray.identifiers == DIRECT + own
    assert "Rossi" not in repr(xray._replace(pixels=None))


def test_what_the_header_says_itself():
    tags = {"PatientIdentityRemoved": "YES", "BurnedInAnnotation": "NO"}
    assert identifiers(header_with(**tags)) == ()
    # A header may say that it names nobody, and name somebody.
    assert identifiers(header_with(PatientName="Rossi", **tags)) == ("PatientName",)


def test_keywords_are_those_of_the_standard():
    assert all(pydicom.datadict.tag_for_keyword(name) for name in DIRECT)


def test_no_value_is_in_a_message_or_warning(tmp_path, recwarn, caplog):
    header = make_header(RAMP, PatientName="Rossi^Anna", PatientID="4711" * 30)
    path = save(tmp_path / "a.dcm", header)
    data = path.read_bytes()
    for old, new in (
        (b"CS\x02\0CR", b"CS\xff\0CR"),  # the next values run into this one
        (b"\x28\0\x04\0CS", b"\x28\0\x05\0CS"),
        (b"Rossi^Anna", b"Rossi\xff\0\x1b\xfe#"),
    ):
        assert old in data
        path.write_bytes(data.replace(old, new))
        try:
            message = repr(read_dicom(path)._replace(pixels=None, patient_id=""))
        except InputError as error:
            message = str(error)
        assert "Rossi" not in message
    said = caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert "Rossi" not in said and "4711" not in said


def test_pseudonym():
    # echo -n 'cxr_jax pseudonym P1' | sha256sum
    assert pseudonym("P1") == "82b064a54f163adb"
    assert pseudonym("") == ""
    assert pseudonym("P1") != pseudonym("P1 ")
    assert len({pseudonym(str(n)) for n in range(5000)}) == 5000
