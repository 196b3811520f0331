"""Every kind of result, of every kind of film, before validators that are not ours."""

import os
import pathlib

import pytest
from node_results import content, dciodvfy, judged, program, read_back, scored

from cxr_jax.serve.objects import OBJECTS, make

KINDS = tuple(OBJECTS)
BASE = "1.2.840.10008.5.1.4.1.1."
WHOLE = {
    "PatientBirthDate": "19500101",
    "StudyDate": "20200301",
    "StudyTime": "101112",
    "StudyID": "S1",
    "ReferringPhysicianName": "Doe^Jane",
}
# What it has at its root depends on the value type, which the tables do not know.
OF_MACROS = "sr-document-content"
FILMS = {
    "whole": WHOLE,
    "bare": dict.fromkeys(
        ("PatientName", "PatientID", "PatientSex", "AccessionNumber"), ""
    ),
    "dx": {"SOPClassUID": BASE + "1.1", "Modality": "DX", **WHOLE},
    "mg": {"SOPClassUID": BASE + "1.2", "Modality": "MG", **WHOLE},
    "sc": {"SOPClassUID": BASE + "7", "Modality": "OT", **WHOLE},
    "japanese": {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    },
    "odd": {
        "PatientID": "A b/c#1",
        "StudyDate": "",
        "PatientAge": "old",
        "PatientOrientation": ["R", "H"],
    },
    "lossy": {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "12",
        "LossyImageCompressionMethod": "ISO_10918_1",
    },
}


def results(bundle, folder, name):
    with_values = {k: v for k, v in FILMS[name].items() if v != ""}
    film, result = scored(bundle, folder, **with_values)
    for key, value in FILMS[name].items():
        if value == "" and key in film:
            delattr(film, key)
    return make(film, result, bundle, KINDS)


@pytest.mark.parametrize("name", FILMS)
def test_dciodvfy_finds_no_error(name, brixia, tmp_path):
    program("dciodvfy")
    for made in results(brixia, tmp_path, name):
        path = tmp_path / f"{made.Modality}.dcm"
        path.write_bytes(content(made))
        assert not dciodvfy(path)


@pytest.mark.parametrize("gate", ["refused", "warned", "passed"])
def test_dciodvfy_finds_no_error_whatever_the_gate_said(
    gate, brixia, classify, tmp_path
):
    program("dciodvfy")
    for number, bundle in enumerate((brixia, classify)):
        film, result = judged(bundle, tmp_path, gate, number)
        for made in make(film, result, bundle, KINDS):
            path = tmp_path / f"{number}{made.Modality}.dcm"
            path.write_bytes(content(made))
            assert not dciodvfy(path)


def test_dciodvfy_would_find_one(brixia, tmp_path):
    """Or the tests above would show nothing."""
    program("dciodvfy")
    for made in results(brixia, tmp_path, "whole"):
        del made.SeriesNumber, made.Manufacturer
        path = tmp_path / f"{made.Modality}.dcm"
        path.write_bytes(content(made))
        assert dciodvfy(path)


def test_all_that_the_tables_of_highdicom_require_is_there(brixia, tmp_path):
    """PS3.3 as tables: attributes of type 1 and 2 of modules that are mandatory."""
    tables = pytest.importorskip("highdicom._standard_utils")
    modules_of, attributes_of = (
        tables.get_iod_module_map(),
        tables.get_module_attribute_map(),
    )
    for made in map(read_back, results(brixia, tmp_path, "bare")):
        iod = tables.get_sop_class_iod_map()[made.SOPClassUID]
        modules = [m["key"] for m in modules_of[iod] if m["usage"] == "M"]
        modules = [each for each in modules if each != OF_MACROS]
        assert len(modules) > 5
        for module in modules:
            for each in attributes_of[module]:
                if each["path"] or each["type"] not in ("1", "2"):
                    continue
                assert each["keyword"] in made, (iod, module, each["keyword"])
                if each["type"] == "1":
                    value = made[each["keyword"]].value
                    assert value not in (None, "", []), each["keyword"]


def test_dicom_validator_finds_no_error(brixia, tmp_path):
    """Its tables are made of the standard's sources, which it fetches by itself."""
    pytest.importorskip("dicom_validator")
    from dicom_validator.spec_reader.edition_reader import EditionReader
    from dicom_validator.validator.dicom_file_validator import DicomFileValidator

    place = os.environ.get("DICOM_VALIDATOR_TABLES", "~/dicom-validator")
    folder = pathlib.Path(place).expanduser()
    editions = sorted(
        path.parent.parent.name for path in folder.glob("*/json/iod_info*")
    )
    if not editions:
        pytest.skip(
            f"no tables of the DICOM standard in {folder}: dicom-validator's own"
        )
    info = EditionReader(folder).load_dicom_info(editions[-1])
    validator = DicomFileValidator(info)
    for name in ("whole", "bare"):
        for made in results(brixia, tmp_path, name):
            path = tmp_path / f"{name}{made.Modality}.dcm"
            path.write_bytes(content(made))
            [found] = validator.validate(path).values()
            assert not found.errors
