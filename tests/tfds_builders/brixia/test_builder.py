"""The brixia builder, from a release on disk to what a reader gets; no TensorFlow."""

import csv
import shutil

import cv2
import numpy as np
import pydicom
import pytest
from places import SHARED_DATA
from pydicom.pixels import apply_rescale, apply_windowing

from tfds_builders.build import build
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import fold_of, train_or_val
from tfds_builders.phantom import write_release

REAL = SHARED_DATA / "BrixIA"
TABLE, CONSENSUS = "metadata_global_v2.csv", "metadata_consensus_v1.csv"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(
        "brixia", tmp_path_factory.mktemp("phantom") / "r", n=60, seed=1, size=96
    )


@pytest.fixture
def copy(release, tmp_path):
    return shutil.copytree(release, tmp_path / "release")


@pytest.fixture(scope="module")
def builder(release, tmp_path_factory):
    return build("brixia", release, tmp_path_factory.mktemp("data"), quiet=True)


def table(release, name=TABLE, delimiter=";"):
    with open(release / name, encoding="utf-8-sig", newline="") as file:
        return {
            row["Filename"]: row for row in csv.DictReader(file, delimiter=delimiter)
        }


def examples(builder):
    return {split: list(builder.as_data_source(split)) for split in builder.info.splits}


def name(example):
    return example["example_id"].decode() + ".dcm"


def edit(path, change):
    text = path.read_text(encoding="utf-8-sig")
    changed = change(text)
    assert changed != text
    path.write_text(changed, encoding="utf-8-sig")


def test_every_label_is_the_tables(release, builder):
    rows, consensus = table(release), table(release, CONSENSUS, ",")
    seen = 0
    for split, stored in examples(builder).items():
        for example in stored:
            row = rows[name(example)]
            assert "".join(map(str, example["scores"])) == row["BrixiaScore"]
            assert example["global_score"] == int(row["BrixiaScoreGlobal"])
            assert example["patient_id"].decode() == row["Subject"]
            assert example["study_id"].decode() == row["StudyId"]
            assert example["sex"].decode() == row["Sex"]
            assert example["age_bin"] == int(row["AgeAtStudyDateFiveYear"])
            assert example["modality"].decode() == row["Modality"]
            assert example["manufacturer"].decode() == row["Manufacturer"]
            assert (split == "test") == (row["ConsensusTestset"] == "1")
            assert example["fold"] == fold_of(row["Subject"])
            of_five = consensus.get(name(example))
            if of_five:
                mean = [float(of_five[f"Mean{zone}"]) for zone in "ABCDEF"]
                mode = [int(of_five[f"Mode{zone}"]) for zone in "ABCDEF"]
            else:
                mean, mode = [np.nan] * 6, [-1] * 6
            np.testing.assert_allclose(example["consensus_mean"], mean, rtol=1e-6)
            assert example["consensus_mode"].tolist() == mode
            seen += 1
    assert seen == sum(split.num_examples for split in builder.info.splits.values())


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
    for stored in examples(builder).values():
        for example in stored:
            header = pydicom.dcmread(release / "dicom_clean" / name(example))
            values = displayed(header)
            assert example["image"].dtype == np.uint16
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


def test_no_subject_is_on_both_sides(release, builder):
    rows = table(release)
    subjects = {
        split: {example["patient_id"].decode() for example in stored}
        for split, stored in examples(builder).items()
    }
    assert not subjects["test"] & (subjects["train"] | subjects["val"])
    assert not subjects["train"] & subjects["val"]
    assert all(train_or_val(s) == "val" for s in subjects["val"])
    tested = {r["Subject"] for r in rows.values() if r["ConsensusTestset"] == "1"}
    removed = [
        r
        for r in rows.values()
        if r["Subject"] in tested and r["ConsensusTestset"] == "0"
    ]
    assert removed  # or the phantom tests nothing
    counts = builder.info.metadata["counts"]
    assert counts["their images removed from train and val"] == len(removed)
    assert counts["test subjects with other images"] == len(
        {r["Subject"] for r in removed}
    )
    stored = sum(split.num_examples for split in builder.info.splits.values())
    assert stored == len(rows) - len(removed)
    for split, row in builder.info.metadata["splits"].items():
        assert row["images"] == builder.info.splits[split].num_examples
        assert row["patients"] == len(subjects[split])
    assert builder.info.metadata["unit"] == "patients"


def test_the_config_that_leaks_keeps_every_image(release, tmp_path):
    config = "256_test_subjects_in_train"
    builder = build(f"brixia/{config}", release, tmp_path, quiet=True)
    rows, stored = table(release), examples(builder)
    assert sorted(name(e) for part in stored.values() for e in part) == sorted(rows)
    both = {e["patient_id"] for e in stored["test"]} & {
        e["patient_id"] for e in stored["train"] + stored["val"]
    }
    assert both
    counts = builder.info.metadata["counts"]
    assert counts["their images kept in train and val"] > 0


def test_stored_size_and_area_mean(tmp_path):
    release = write_release("brixia", tmp_path / "r", n=2, seed=3, size=600)
    builder = build("brixia/256", release, tmp_path / "data", quiet=True)
    for stored in examples(builder).values():
        for example in stored:
            assert max(example["image"].shape) == 256
            header = pydicom.dcmread(release / "dicom_clean" / name(example))
            small = cv2.resize(
                displayed(header),
                example["image"].shape[1::-1],
                interpolation=cv2.INTER_AREA,
            )
            np.testing.assert_allclose(example["image"][..., 0], small, atol=1.5)


def test_v1_table_gives_the_same(tmp_path):
    one, two = (
        write_release("brixia", tmp_path / layout, 12, 2, 64, layout)
        for layout in ("v1", "v2")
    )
    first = build("brixia", one, tmp_path / "data1", quiet=True)
    second = build("brixia", two, tmp_path / "data2", quiet=True)
    assert first.info.metadata["release"] == "v1"
    assert second.info.metadata["release"] == "v2"
    assert first.info.metadata["synthetic"]
    labels = [
        {
            e["example_id"]: (*e["scores"], e["sex"], e["age_bin"], split)
            for split, part in examples(builder).items()
            for e in part
        }
        for builder in (first, second)
    ]
    assert labels[0] == labels[1]


def test_polarity_that_the_table_has_wrong_is_the_headers(copy, tmp_path, builder):
    row = table(copy)[name(builder.as_data_source("train")[0])]
    polarity = row["PhotometricInterpretation"]
    other = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}[polarity]
    lines = (copy / TABLE).read_text(encoding="utf-8-sig").split("\n")
    lines = [
        li.replace(polarity, other) if row["Filename"] in li else li for li in lines
    ]
    (copy / TABLE).write_text("\n".join(lines), encoding="utf-8-sig")
    changed = build("brixia", copy, tmp_path / "data", quiet=True)
    counts = changed.info.metadata["counts"]
    assert [n for text, n in counts.items() if "polarity" in text] == [1]
    before, after = (b.as_data_source("train")[0] for b in (builder, changed))
    assert before["example_id"] == after["example_id"]
    np.testing.assert_array_equal(before["image"], after["image"])


def test_without_consensus(copy, tmp_path):
    (copy / CONSENSUS).unlink()
    builder = build("brixia", copy, tmp_path / "data", quiet=True)
    example = builder.as_data_source("test")[0]
    assert np.isnan(example["consensus_mean"]).all()
    assert (example["consensus_mode"] == -1).all()
    tests = builder.info.splits["test"].num_examples
    counts = builder.info.metadata["counts"]
    assert counts["test images without a consensus"] == tests


def test_one_image_is_a_dataset(tmp_path):
    release = write_release("brixia", tmp_path / "r", n=1, seed=0, size=64)
    builder = build("brixia", release, tmp_path / "data", quiet=True)
    assert sum(s.num_examples for s in builder.info.splits.values()) == 1
    assert len(builder.info.splits) == 1
    assert set(builder.info.metadata["splits"]) == {"train", "val", "test"}


def fails(release, tmp_path, *words):
    data = tmp_path / "data"
    with pytest.raises(InputError) as error:
        build("brixia", release, data, quiet=True)
    for word in words:
        assert word in str(error.value)
    left = [p for p in data.rglob("*") if p.is_file() and ".config" not in p.parts]
    assert left == []


def row_of(copy, column, value):
    """Change one cell of the first row of the table."""
    lines = (copy / TABLE).read_text(encoding="utf-8-sig").split("\n")
    cells = lines[1].split(";")
    cells[lines[0].split(";").index(column)] = value
    lines[1] = ";".join(cells)
    (copy / TABLE).write_text("\n".join(lines), encoding="utf-8-sig")
    return cells[0]


def test_lost_leading_zeros(copy, tmp_path):
    edit(copy / TABLE, lambda text: text.replace(";0", ";"))
    fails(copy, tmp_path, TABLE, "leading zeros are lost", "spreadsheet", "line ")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("BrixiaScore", "004000", "not 6 digits from 0 to 3"),
        ("BrixiaScore", "00000x", "not 6 digits from 0 to 3"),
        ("BrixiaScoreGlobal", "19", "do not add up"),
        ("ConsensusTestset", "yes", "neither 0 nor 1"),
        ("Subject", "", "no Subject"),
        ("AgeAtStudyDateFiveYear", "sixty", "'sixty'"),
        ("Filename", "9.71518E+18", "rounded numbers"),
    ],
)
def test_wrong_cells(copy, tmp_path, column, value, words):
    row_of(copy, column, value)
    fails(copy, tmp_path, TABLE, words, "line 2", "release again")


def test_wrong_separator_or_columns(copy, tmp_path):
    edit(copy / TABLE, lambda text: text.replace(";", "\t"))
    fails(copy, tmp_path, TABLE, "missing: Filename")
    edit(copy / TABLE, lambda text: text.replace("\t", ";").replace("Subject", "Case"))
    fails(copy, tmp_path, TABLE, "missing: Subject", "'Case'")


def test_duplicate_names(copy, tmp_path):
    edit(copy / TABLE, lambda text: text + "\n" + text.split("\n")[1])
    fails(copy, tmp_path, "more than once", "lines [2, 62]")


def test_half_unpacked(copy, tmp_path):
    files = sorted((copy / "dicom_clean").iterdir())
    for path in files[:7]:
        path.unlink()
    fails(copy, tmp_path, "7 of the 60 images", files[0].name, "half unpacked")
    edit(copy / TABLE, lambda text: "\n".join(text.split("\n")[:3]))
    fails(copy, tmp_path, "images have no row" if len(files) > 9 else "not there")


def test_image_without_a_row(copy, tmp_path):
    files = sorted((copy / "dicom_clean").iterdir())
    shutil.copy(files[0], files[0].with_name("1.dcm"))
    fails(copy, tmp_path, "1 images have no row", "1.dcm")


def test_missing_parts(copy, tmp_path):
    shutil.move(copy / TABLE, tmp_path / "table")
    fails(copy, tmp_path, "neither metadata_global_v2.csv nor metadata_global_v1.csv")
    shutil.move(tmp_path / "table", copy / TABLE)
    shutil.rmtree(copy / "dicom_clean")
    fails(copy, tmp_path, "no folder dicom_clean", "cat *.tar.gz.*")
    (copy / "dicom_clean").mkdir()
    fails(copy, tmp_path, "60 of the 60 images")
    fails(tmp_path / "none", tmp_path, "there is no such folder")


def test_consensus_outside_the_scale(copy, tmp_path):
    lines = (copy / CONSENSUS).read_text(encoding="utf-8-sig").split("\n")
    lines[1] = ",".join([lines[1].split(",")[0], "3.2", *lines[1].split(",")[2:]])
    (copy / CONSENSUS).write_text("\n".join(lines), encoding="utf-8-sig")
    fails(copy, tmp_path, CONSENSUS, "outside 0 to 3", "line 2")


def test_damaged_image_leaves_no_dataset(copy, tmp_path, builder):
    # The last one of the last split, when all the others are written.
    path = copy / "dicom_clean" / name(examples(builder)["test"][-1])
    path.write_bytes(path.read_bytes()[:-100])
    fails(copy, tmp_path, path.name, "truncated")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not on this disk")
def test_real_images(tmp_path):
    builder = build("brixia", REAL.parent, tmp_path, quiet=True)
    assert not builder.info.metadata["synthetic"]
    rows = table(REAL)
    tested = {r["Subject"] for r in rows.values() if r["ConsensusTestset"] == "1"}
    kept = [
        r
        for r in rows.values()
        if r["ConsensusTestset"] == "1" or r["Subject"] not in tested
    ]
    stored = {name(e): e for part in examples(builder).values() for e in part}
    assert sorted(stored) == sorted(r["Filename"] for r in kept)
    # Shoulders and mediastinum are brighter than the air beside the neck and the
    # lungs, whatever the polarity of the file: the convention holds on real films.
    for polarity in ("MONOCHROME1", "MONOCHROME2"):
        images = [
            cv2.resize(stored[r["Filename"]]["image"], (64, 64)) / 65535
            for r in kept
            if r["PhotometricInterpretation"] == polarity
        ]
        mean = np.mean(images, 0)
        spine, lungs = mean[16:40, 29:35].mean(), mean[16:40, 14:22].mean()
        assert spine > lungs + 0.05
