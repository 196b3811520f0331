"""The brixia builder, from a release on disk to what a reader gets; no TensorFlow."""

import csv
import shutil

import cv2
import numpy as np
import pydicom
import pytest
from places import SHARED_DATA
from pydicom.pixels import apply_rescale, apply_windowing
from stored import counts, examples, needs

from tfds_builders.common.splits import train_or_val
from tfds_builders.phantom import write_release

REAL = SHARED_DATA / "BrixIA"
TABLE, CONSENSUS = "metadata_global_v2.csv", "metadata_consensus_v1.csv"


def table(release, name=TABLE, delimiter=";"):
    """Rows by example_id, read by hand."""
    with open(release / name, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=delimiter))
    return {row["Filename"].removesuffix(".dcm"): row for row in rows}


def dicom(release, name):
    return pydicom.dcmread(release / "dicom_clean" / f"{name}.dcm")


def edit(path, change):
    text = path.read_text(encoding="utf-8-sig")
    changed = change(text)
    assert changed != text
    path.write_text(changed, encoding="utf-8-sig")


def test_every_label_is_the_tables(release, builder):
    rows, consensus = table(release), table(release, CONSENSUS, ",")
    for name, (split, example) in examples(builder).items():
        row = rows[name]
        assert "".join(map(str, example["scores"])) == row["BrixiaScore"]
        assert example["global_score"] == int(row["BrixiaScoreGlobal"])
        assert example["patient_id"].decode() == row["Subject"]
        assert example["study_id"].decode() == row["StudyId"]
        assert example["sex"].decode() == row["Sex"]
        assert example["age_bin"] == int(row["AgeAtStudyDateFiveYear"])
        assert example["modality"].decode() == row["Modality"]
        assert example["manufacturer"].decode() == row["Manufacturer"]
        assert (split == "test") == (row["ConsensusTestset"] == "1")
        of_five = consensus.get(name)
        if of_five:
            mean = [float(of_five[f"Mean{zone}"]) for zone in "ABCDEF"]
            mode = [int(of_five[f"Mode{zone}"]) for zone in "ABCDEF"]
        else:
            mean, mode = [np.nan] * 6, [-1] * 6
        np.testing.assert_allclose(example["consensus_mean"], mean, rtol=1e-6)
        assert example["consensus_mode"].tolist() == mode


def displayed(header):
    """0..65535, bone bright, by pydicom's own functions."""
    ends = np.array([0, 2**header.BitsStored - 1])
    low, high = apply_rescale(ends, header).astype(np.float64)
    values = apply_rescale(header.pixel_array, header)
    if "WindowWidth" in header:
        values = apply_windowing(values, header)  # onto the same range
    values = (values - low) / (high - low)
    if header.PhotometricInterpretation == "MONOCHROME1":
        values = 1 - values
    return values * 65535


def test_pixels_are_those_of_the_file_in_one_convention(release, builder):
    polarities, bits = set(), set()
    for name, (_, example) in examples(builder).items():
        header = dicom(release, name)
        values = displayed(header)
        np.testing.assert_allclose(example["image"][..., 0], values, atol=0.51)
        assert (example["rows"], example["columns"]) == values.shape
        assert example["bits_stored"] == header.BitsStored
        assert example["view"].decode() == header.get("ViewPosition", "")
        polarity = header.PhotometricInterpretation
        assert example["photometric_interpretation"].decode() == polarity
        polarities.add(polarity)
        bits.add(header.BitsStored)
    assert len(polarities) == 2
    assert len(bits) > 1


def test_test_subjects_are_only_in_test(release, builder):
    rows, stored = table(release), examples(builder)
    for split, example in stored.values():
        if split != "test":
            assert split == train_or_val(example["patient_id"].decode())
    tested = {r["Subject"] for r in rows.values() if r["ConsensusTestset"] == "1"}
    removed = {
        name: row["Subject"]
        for name, row in rows.items()
        if row["Subject"] in tested and row["ConsensusTestset"] == "0"
    }
    assert removed  # or the phantom tests nothing
    assert stored.keys() == rows.keys() - removed.keys()
    assert counts(builder)["images_of_test_subjects_left_out"] == len(removed)
    others = counts(builder)["test_subjects_with_other_images"]
    assert others == len(set(removed.values()))
    assert builder.info.metadata["unit"] == "patients"


def test_the_config_that_leaks_keeps_every_image(release, make):
    builder = make(release, "256_test_subjects_in_train")
    rows, stored = table(release), examples(builder)
    assert stored.keys() == rows.keys()
    tested = {e["patient_id"] for s, e in stored.values() if s == "test"}
    shared = [
        e for s, e in stored.values() if s != "test" and e["patient_id"] in tested
    ]
    assert counts(builder)["images_of_test_subjects_kept"] == len(shared) > 0


def test_stored_size_and_area_mean(tmp_path, make):
    release = write_release("brixia", tmp_path / "r", n=2, seed=3, size=600)
    for name, (_, example) in examples(make(release, "256")).items():
        assert max(example["image"].shape) == 256
        values, shape = displayed(dicom(release, name)), example["image"].shape[1::-1]
        small = cv2.resize(values, shape, interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(example["image"][..., 0], small, atol=1.5)


def test_v1_table_gives_the_same(tmp_path, make):
    labels = []
    for layout in ("v1", "v2"):
        builder = make(write_release("brixia", tmp_path / layout, 12, 2, 64, layout))
        assert builder.info.metadata["release"] == layout
        labels.append(
            {
                name: (*e["scores"], e["sex"], e["age_bin"], split)
                for name, (split, e) in examples(builder).items()
            }
        )
    assert labels[0] == labels[1]


def test_film_that_is_stored_mirrored_has_its_sides_exchanged(copy, builder, make):
    """Its scores stay those of the patient's sides, so the picture has to turn."""
    before = builder.as_data_source("train")[0]
    name = before["example_id"].decode()
    header = dicom(copy, name)
    header.PixelData = np.ascontiguousarray(header.pixel_array[:, ::-1]).tobytes()
    header.PatientOrientation = ["R", "F"]
    header.save_as(copy / "dicom_clean" / f"{name}.dcm")
    changed = make(copy)
    assert changed.info.metadata["warnings"]["dicom_turned:R\\F"] == 1
    after = changed.as_data_source("train")[0]
    assert after["example_id"].decode() == name
    np.testing.assert_array_equal(before["image"], after["image"])
    np.testing.assert_array_equal(before["scores"], after["scores"])


def test_polarity_that_the_table_has_wrong_is_the_headers(copy, builder, make):
    before = builder.as_data_source("train")[0]
    row = table(copy)[before["example_id"].decode()]
    polarity = row["PhotometricInterpretation"]
    other = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}[polarity]

    def change(text):
        lines = text.split("\n")
        return "\n".join(
            line.replace(polarity, other) if row["Filename"] in line else line
            for line in lines
        )

    edit(copy / TABLE, change)
    changed = make(copy)
    assert counts(changed)["dicom_polarity_not_tables"] == 1
    after = changed.as_data_source("train")[0]
    assert before["example_id"] == after["example_id"]
    np.testing.assert_array_equal(before["image"], after["image"])


def test_without_consensus(copy, make):
    (copy / CONSENSUS).unlink()
    builder = make(copy)
    example = builder.as_data_source("test")[0]
    assert np.isnan(example["consensus_mean"]).all()
    assert (example["consensus_mode"] == -1).all()
    tests = builder.info.splits["test"].num_examples
    assert counts(builder)["consensus_missing"] == tests


def test_one_image_is_a_dataset(tmp_path, make):
    builder = make(write_release("brixia", tmp_path / "r", n=1, seed=0, size=64))
    assert [split.num_examples for split in builder.info.splits.values()] == [1]
    assert set(builder.info.metadata["splits"]) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("BrixiaScore", "004000", "'004000'"),
        ("BrixiaScore", "00000x", "'00000x'"),
        ("BrixiaScoreGlobal", "19", "19"),
        ("ConsensusTestset", "yes", "'yes'"),
        ("Subject", "", "Subject"),
        ("AgeAtStudyDateFiveYear", "sixty", "'sixty'"),
        ("Filename", "9.71518E+18", "spreadsheet"),
        ("BrixiaScore", "0", "spreadsheet"),  # of leading zeros that are lost
    ],
)
def test_wrong_cells(copy, column, value, words, fails):
    def change(text):
        header, first, *rest = text.split("\n")
        cells = first.split(";")
        cells[header.split(";").index(column)] = value
        return "\n".join([header, ";".join(cells), *rest])

    edit(copy / TABLE, change)
    fails(copy, TABLE, words, "line 2")


def test_wrong_separator_or_columns(copy, fails):
    edit(copy / TABLE, lambda text: text.replace(";", "\t"))
    fails(copy, TABLE, "missing: Filename")
    edit(copy / TABLE, lambda text: text.replace("\t", ";").replace("Subject", "Case"))
    fails(copy, TABLE, "missing: Subject", "'Case'")


def test_duplicate_names(copy, fails):
    edit(copy / TABLE, lambda text: text + "\n" + text.split("\n")[1])
    fails(copy, TABLE, "lines [2, 62]")


def test_half_unpacked(copy, tmp_path, fails):
    files = sorted((copy / "dicom_clean").iterdir())
    shutil.copy(files[0], files[0].with_name("1.dcm"))
    fails(copy, TABLE, "1 images", "1.dcm")
    (copy / "dicom_clean" / "1.dcm").unlink()
    for path in files[:7]:
        path.unlink()
    fails(copy, "7 of the 60 images", files[0].name)
    shutil.move(copy / TABLE, tmp_path / "table")
    fails(copy, TABLE, "metadata_global_v1.csv")
    shutil.move(tmp_path / "table", copy / TABLE)
    shutil.rmtree(copy / "dicom_clean")
    fails(copy, "dicom_clean", "cat *.tar.gz.*")
    (copy / "dicom_clean").mkdir()
    fails(copy, "60 of the 60 images")


def test_consensus_outside_the_scale(copy, fails):
    def change(text):
        header, first, *rest = text.split("\n")
        name, _, *cells = first.split(",")
        return "\n".join([header, ",".join([name, "3.2", *cells]), *rest])

    edit(copy / CONSENSUS, change)
    fails(copy, CONSENSUS, "line 2")


@needs(REAL)
def test_real_images(make):
    builder = make(REAL.parent)
    assert not builder.info.metadata["synthetic"]
    rows, stored = table(REAL), examples(builder)
    tested = {r["Subject"] for r in rows.values() if r["ConsensusTestset"] == "1"}
    kept = {
        name: row
        for name, row in rows.items()
        if row["ConsensusTestset"] == "1" or row["Subject"] not in tested
    }
    assert stored.keys() == kept.keys()
    # Shoulders and mediastinum are brighter than the air beside the neck and the
    # lungs, whatever the polarity of the file: the convention holds on real films.
    for polarity in ("MONOCHROME1", "MONOCHROME2"):
        images = [
            cv2.resize(stored[name][1]["image"], (64, 64)) / 65535
            for name, row in kept.items()
            if row["PhotometricInterpretation"] == polarity
        ]
        mean = np.mean(images, 0)
        spine, lungs = mean[16:40, 29:35].mean(), mean[16:40, 14:22].mean()
        assert spine > lungs + 0.05
