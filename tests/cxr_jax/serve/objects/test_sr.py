"""The report, read back by highdicom and as plain DICOM."""

import hashlib

import highdicom.sr as hd
import numpy as np
import pytest
from node_results import REASONS, judged, read_back, scored

import cxr_jax
from cxr_jax.serve.objects import make

# SNOMED CT, of https://browser.ihtsdotools.org: written out here once more.
UPPER, MIDDLE, LOWER = "281392002", "281393007", "281394001"
RIGHT, LEFT, LUNG, BOTH = "24028007", "7771000", "39607008", "51440002"
SITES = {
    "Zone A": (UPPER, RIGHT),
    "Zone B": (MIDDLE, RIGHT),
    "Zone C": (LOWER, RIGHT),
    "Zone D": (UPPER, LEFT),
    "Zone E": (MIDDLE, LEFT),
    "Zone F": (LOWER, LEFT),
}


def report(bundle, film, result):
    return read_back(make(film, result, bundle, ["sr"])[0])


def groups(made):
    """{tracking identifier: group} by highdicom."""
    content = hd.MeasurementReport.from_sequence([root(made)])
    found = content.get_image_measurement_groups()
    return {each.tracking_identifier: each for each in found}


def root(made):
    return hd.Comprehensive3DSR.from_dataset(made).content[0]


def items(item):
    yield item
    for each in item.get("ContentSequence", ()):
        yield from items(each)


def numbers(group):
    return {each.name.meaning: each.value for each in group.get_measurements()}


def test_each_zone_is_a_group_with_its_site_scores_and_model(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    made = report(brixia, film, result)
    found = groups(made)
    assert list(found) == ["Both lungs", *SITES]
    digest = hashlib.sha256((brixia.path / "SHA256SUMS").read_bytes()).hexdigest()
    for name, (part, side) in SITES.items():
        group, zone = found[name], name[-1]
        [site] = group.finding_sites
        assert (site.value.value, site.laterality.value) == (part, side)
        measured = numbers(group)
        assert measured["Brixia score of the zone, expected"] == pytest.approx(
            result.record[f"expected_{zone}"], abs=0.005
        )
        shares = [measured[f"Probability of score {k}"] for k in range(4)]
        wanted = [100 * result.record[f"prob_{zone}{k}"] for k in range(4)]
        np.testing.assert_allclose(shares, wanted, atol=0.005)
        likely = measured["Brixia score of the zone, most probable"]
        assert likely == int(np.argmax(wanted))
        [members] = [each.value.meaning for each in group.get_qualitative_evaluations()]
        assert members == result.record[f"set_{zone}"].replace("|", ", ")
        [image] = group.source_images
        assert image.referenced_sop_instance_uid == film.SOPInstanceUID
        texts = [each.TextValue for each in items(group[0]) if "TextValue" in each]
        assert brixia.recipe.name in texts
        assert f"cxr_jax {cxr_jax.__version__}" in texts
        assert f"bundle SHA-256 {digest}" in texts


def test_the_global_score_has_its_interval(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    group = groups(report(brixia, film, result))["Both lungs"]
    measured = numbers(group)
    record = result.record
    wanted = {
        "Brixia global score, expected (0 to 18)": record["global"],
        "Brixia global score, lower end of the 90 % interval": record["global_low"],
        "Brixia global score, upper end of the 90 % interval": record["global_high"],
        "Calibrated confidence of the model": 100 * record["confidence"],
    }
    assert measured == pytest.approx(
        {k: float(v) for k, v in wanted.items()}, abs=0.005
    )
    [site] = group.finding_sites
    assert (site.value.value, site.laterality.value) == (LUNG, BOTH)


def test_without_an_interval_there_is_none(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    record = result.record | {"global_low": "", "global_high": ""}
    made = report(brixia, film, result._replace(record=record))
    assert len(numbers(groups(made)["Both lungs"])) == 2


def test_classes_have_their_probabilities(classify, tmp_path):
    film, result = scored(classify, tmp_path)
    made = report(classify, film, result)
    [group] = groups(made).values()
    measured = numbers(group)
    record = result.record
    for name in ("Normal", "COVID"):
        assert measured[f"Probability of {name}"] == pytest.approx(
            100 * record[f"prob_{name}"], abs=0.005
        )
    answers = {
        each.name.meaning: each.value.meaning
        for each in group.get_qualitative_evaluations()
    }
    assert answers["Class called"] == record["called"]
    assert answers["Prediction set (90 % coverage)"] == record["set"].replace("|", ", ")


def test_a_refused_film_has_a_reason_and_no_figure(brixia, classify, tmp_path):
    for number, bundle in enumerate((brixia, classify)):
        film, result = judged(bundle, tmp_path, "refused", number)
        made = report(bundle, film, result)
        found = list(items(root(made)))
        assert not [each for each in found if each.ValueType == "NUM"]
        [group] = groups(made).values()
        [check] = group.get_qualitative_evaluations()
        assert check.value.value == "check-refused"
        texts = " ".join(each.TextValue for each in found if "TextValue" in each)
        assert REASONS["refused"] == "view=0.91>0.50;size=1.28>1.00"
        assert "view 0.91 (limit 0.50), size 1.28 (limit 1.00)" in texts


def test_a_film_that_was_scored_in_spite_of_the_gate_says_so(brixia, tmp_path):
    film, result = judged(brixia, tmp_path, "warned")
    made = report(brixia, film, result)
    [check] = groups(made)["Both lungs"].get_qualitative_evaluations()
    assert check.value.value == "check-warned"
    texts = [each.TextValue for each in items(root(made)) if "TextValue" in each]
    assert any("view 0.91 (limit 0.50)" in text for text in texts)


def test_it_refers_to_the_film_and_says_what_it_is_no_good_for(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    made = report(brixia, film, result)
    [study] = made.CurrentRequestedProcedureEvidenceSequence
    [series] = study.ReferencedSeriesSequence
    [image] = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == made.StudyInstanceUID == film.StudyInstanceUID
    assert series.SeriesInstanceUID == film.SeriesInstanceUID
    assert image.ReferencedSOPInstanceUID == film.SOPInstanceUID
    assert (made.PreliminaryFlag, made.VerificationFlag) == (
        "PRELIMINARY",
        "UNVERIFIED",
    )
    first = next(each for each in items(root(made)) if "TextValue" in each)
    comments = [
        each.TextValue
        for each in items(root(made))
        if each.ValueType == "TEXT" and each.name.value == "121106"
    ]
    assert first and "research only" in comments[0]
    assert "Not a medical device" in comments[0]


def test_remarks_of_the_reader_are_in_it(brixia, tmp_path):
    film, result = scored(brixia, tmp_path, PatientOrientation=["R", "H"])
    notes = result.record["warnings"].split(";")
    assert {"dicom_turned:R\\H", "dicom_names_person:PatientName"} <= set(notes)
    made = report(brixia, film, result)
    texts = [each.TextValue for each in items(root(made)) if "TextValue" in each]
    assert any("turned" in text for text in texts)
    assert not any("name a person" in text for text in texts)
