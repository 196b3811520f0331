"""The covid_chestxray builder, from a release to what a reader gets; no TensorFlow."""

import collections
import csv
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from stored import counts, examples

from tfds_builders.common.errors import InputError
from tfds_builders.covid_chestxray.covid_chestxray_dataset_builder import _read
from tfds_builders.covid_chestxray.layout import read_release
from tfds_builders.phantom import write_release

CLASSES = [
    *("No Finding", "COVID-19", "Other viral", "Bacterial", "Fungal"),
    *("Tuberculosis", "Other pneumonia"),
]
VIRAL = "Pneumonia/Viral"
# What the phantoms write, of either generation: path and class.
MEANT = {
    f"{VIRAL}/COVID-19": (f"{VIRAL}/COVID-19", "COVID-19"),
    "COVID-19": (f"{VIRAL}/COVID-19", "COVID-19"),
    "COVID-19, ARDS": (f"{VIRAL}/COVID-19", "COVID-19"),
    "No Finding": ("No Finding", "No Finding"),
    f"{VIRAL}/SARS": (f"{VIRAL}/SARS", "Other viral"),
    "SARS": (f"{VIRAL}/SARS", "Other viral"),
    f"{VIRAL}/Herpes ": (f"{VIRAL}/Herpes", "Other viral"),
    "Herpes pneumonia, ARDS": (f"{VIRAL}/Herpes", "Other viral"),
    "Pneumonia/Bacterial/Streptococcus": (
        "Pneumonia/Bacterial/Streptococcus",
        "Bacterial",
    ),
    "Streptococcus": ("Pneumonia/Bacterial/Streptococcus", "Bacterial"),
    "Pneumonia/Bacterial/Klebsiella": ("Pneumonia/Bacterial/Klebsiella", "Bacterial"),
    "Klebsiella": ("Pneumonia/Bacterial/Klebsiella", "Bacterial"),
    "Pneumonia/Fungal/Pneumocystis": ("Pneumonia/Fungal/Pneumocystis", "Fungal"),
    "Pneumocystis": ("Pneumonia/Fungal/Pneumocystis", "Fungal"),
    "Tuberculosis": ("Tuberculosis", "Tuberculosis"),
    "Pneumonia": ("Pneumonia", "Other pneumonia"),
    "Pneumonia/Lipoid": ("Pneumonia/Lipoid", "Other pneumonia"),
    "Lipoid": ("Pneumonia/Lipoid", "Other pneumonia"),
    "ARDS": ("Pneumonia", "Other pneumonia"),
}
ANSWERS = {
    "RT_PCR_positive": "RT_PCR_positive",
    "survival": "survival",
    "intubated": "intubated",
    "intubation_present": "intubation_present",
    "went_icu": "went_icu",
    "in_icu": "in_icu",
    "needed_supplemental_O2": "needed_supplemental_o2",  # of the old tables
}


def table(release):
    """Rows by hand: names of columns without spaces, cells as they are."""
    with open(release / "metadata.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[-1] == "" and all(row[-1] == "" for row in rows)
    return [dict(zip(map(str.strip, header), row, strict=True)) for row in rows]


def write_table(release, rows):
    with open(release / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def radiographs(release):
    """Rows of the films that some config wants, by file name."""
    by_name = collections.defaultdict(list)
    for row in table(release):
        by_name[row["filename"]].append(row)
    return {
        name: rows[0]
        for name, rows in by_name.items()
        if len({row["patientid"] for row in rows}) == 1
        and rows[0]["modality"] == "X-ray"
        and rows[0]["finding"] not in ("todo", "Unknown")
        and (release / "images" / name).is_file()
    }


def is_frontal(row):
    return row["view"].split(" ")[0] in ("PA", "AP")


def severity(release):
    path = release / "annotations" / "covid-severity-scores.csv"
    lines = path.read_text().splitlines()
    assert all(line.startswith("##") for line in lines[:5])
    cells = [line.split(",") for line in lines[6:]]
    return {name: (float(extent), float(opacity)) for name, extent, opacity in cells}


def number(text):
    return float(text) if text else math.nan


def without_alpha(pixels):
    """Grey [H, W], uint8, of what the phantoms write with an alpha channel."""
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., 0]
    return (pixels // 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def check(builder, release, wanted):
    """Every wanted film once, with what its row, its picture and the scores say."""
    stored = examples(builder)
    rows = {n: row for n, row in radiographs(release).items() if wanted(row)}
    assert sorted(stored) == sorted(name.rpartition(".")[0] for name in rows)
    scores = severity(release)
    label = builder.info.features["label"]
    assert label.names == CLASSES
    ids = collections.defaultdict(set)
    for name, row in rows.items():
        _, example = stored[name.rpartition(".")[0]]
        finding, name_of_class = MEANT[row["finding"]]
        assert example["finding"].decode() == finding
        assert label.int2str(example["label"]) == name_of_class
        assert example["view"].decode() == row["view"].replace("?", "")
        assert example["sex"].decode() == row["sex"]
        np.testing.assert_equal(example["age"], number(row["age"]))
        np.testing.assert_equal(example["offset"], number(row["offset"]))
        assert example["location"].decode() == row["location"]
        assert example["license"].decode() == row["license"]
        host = row["url"].split("/")[2]
        assert host == "www." + example["source"].decode()
        for answer, old in ANSWERS.items():
            cell = row.get(answer, row.get(old, ""))
            assert example[answer].decode() == cell.replace("?", "")
        pair = example["geographic_mean"], example["opacity_mean"]
        expected = scores.get(name, (math.nan, math.nan))
        np.testing.assert_array_equal(np.float32(pair), np.float32(expected))
        path = str(release / "images" / name)
        pixels = without_alpha(cv2.imread(path, cv2.IMREAD_UNCHANGED))
        assert example["coloured"] == (pixels.ndim == 3)
        if pixels.ndim == 2:
            np.testing.assert_array_equal(example["image"][..., 0], pixels)
        ids[row["patientid"]].add(example["patient_id"])
    assert {len(of_one) for of_one in ids.values()} == {1}
    return rows, stored


def test_late_generation(release, builder):
    rows, stored = check(builder, release, is_frontal)
    assert {e["label"] for _, e in stored.values()} == set(range(7))
    assert sum(not math.isnan(e["opacity_mean"]) for _, e in stored.values()) > 2
    metadata = builder.info.metadata
    assert metadata["unit"] == "patients"
    assert metadata["release"] == f"of {len(table(release))} rows, findings as paths"
    assert len(rows) > 40


def test_what_is_left_out_is_counted(release, builder):
    listed = table(release)
    films = radiographs(release).values()
    of_file = collections.defaultdict(set)
    for row in listed:
        of_file[row["filename"]].add(row["patientid"])
    contradicted = sum(len(patients) > 1 for patients in of_file.values())
    once = {row["filename"]: row for row in listed if len(of_file[row["filename"]]) < 2}
    on_disk = {path.name for path in (release / "images").iterdir()}
    found = counts(builder)
    for text, expected in {
        "rows_repeated": 1,
        "files_contradicted": contradicted,
        "ct_slices_left_out": sum(r["view"] == "Axial" for r in once.values()),
        "ct_volumes_left_out": 1,
        "finding_unknown_left_out": sum(
            r["finding"] in ("todo", "Unknown") for r in once.values()
        ),
        "rows_without_image": 1,
        "images_not_listed": len(on_disk - {row["filename"] for row in listed}),
        "lateral_left_out": sum(r["view"] == "L" for r in films),
        "view_unknown_left_out": sum(r["view"] in ("", "?") for r in films),
        "images_without_licence": sum(
            is_frontal(r) and not r["license"] for r in films
        ),
        "images_coloured": 3,
        "images_of_16_bits:16": 3,
        "images_not_quite_opaque": 3,
    }.items():
        assert found[text] == expected > 0, text


def test_flat_generation_and_all_views(tmp_path, make):
    flat = write_release("covid_chestxray", tmp_path / "r", 40, 2, 64, "2020-06")
    builder = make(flat, "256_all_views")
    rows, _ = check(builder, flat, lambda row: True)
    assert {"L", "", "?"} & {row["view"] for row in rows.values()}
    edition = builder.info.metadata["release"]
    assert edition == f"of {len(table(flat))} rows, findings flat"


def test_lung_masks(release, builder, make):
    segmentation = make(release, "segmentation")
    folder = release / "annotations" / "lungVAE-masks"
    masks = {path.stem.removesuffix("_mask"): path for path in folder.iterdir()}
    stored, others, smooth = examples(segmentation), examples(builder), 0
    assert stored.keys() == masks.keys() & others.keys()
    for name, (split, example) in stored.items():
        mask = cv2.imread(str(masks[name]), cv2.IMREAD_UNCHANGED)
        smooth += len(np.unique(mask)) > 2
        half = np.where(mask > 127, 255, 0)
        np.testing.assert_array_equal(example["mask"][..., 0], half)
        assert example["mask"].shape == example["image"].shape
        assert split == others[name][0]  # in every config
    text = "without_mask_left_out"
    found = counts(segmentation)
    assert found[text] == len(others) - len(stored)
    assert found["masks_thresholded"] == smooth > 3


def test_masks_that_are_none(copy, fails):
    film = next(film for film in read_release(copy).films if film.mask)
    path = copy / "annotations" / "lungVAE-masks" / f"{film.name}_mask.png"
    data = path.read_bytes()
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    stored = cv2.imdecode(
        np.frombuffer(_read(film, 40, masks=True).features["mask"], np.uint8), 0
    )
    assert max(stored.shape) == 40 and set(np.unique(stored)) == {0, 255}
    half = mask[:, : mask.shape[1] // 2]
    for wrong, words in [
        (cv2.imencode(".png", mask // 2)[1].tobytes(), "grey values up to 127"),
        (cv2.imencode(".png", half)[1].tobytes(), f"{half.shape[1]} x {len(half)}"),
        (data[:100], "truncated"),
    ]:
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=words) as error:
            _read(film, 512, masks=True)
        assert path.name in error.value.found
    shutil.rmtree(path.parent)
    fails(copy, "lung mask", "annotations", config="segmentation")


def test_copies_of_different_patients_share_a_split(release, builder):
    found = counts(builder)
    joined = "patients_joined_by_copies"
    assert found[joined] == 2 * found["near_duplicate_groups"] > 0
    by_patient = collections.defaultdict(set)
    stored = examples(builder)
    for name, row in radiographs(release).items():
        if is_frontal(row):
            patient = stored[Path(name).stem][1]["patient_id"].decode()
            by_patient[patient].add(f"cohen-{row['patientid']}")
    assert all(patient == min(those) for patient, those in by_patient.items())
    assert max(map(len, by_patient.values())) == 2


def test_splits_of_known_patients_never_change(builder):
    stored = examples(builder)
    known = {e["patient_id"].decode(): (s, e["fold"]) for s, e in stored.values()}
    for patient, split, fold in [
        ("cohen-1", "train", 1),
        ("cohen-2", "test", 0),
        ("cohen-5", "train", 4),
    ]:
        assert known[patient] == (split, fold)


def test_patients_csv_wins(copy, make):
    names = [Path(name).stem for name in radiographs(copy)]
    listed = {name: f"p{k % 2}" for k, name in enumerate(names[:5])}
    rows = "".join(f'"{name}",{patient}\n' for name, patient in listed.items())
    (copy / "patients.csv").write_text("example_id,patient\n" + rows)
    builder = make(copy, "256")
    assert builder.info.metadata["unit"] == "patients"
    for name, (_, example) in examples(builder).items():
        patient = example["patient_id"].decode()
        assert patient == listed.get(name, patient)
        assert patient.startswith("p" if name in listed else "cohen-")


def test_cells_that_are_not_as_they_should_be(copy, make):
    rows = table(copy)
    first, second, third, fourth, fifth = rows[1:6]
    first |= {"age": "adult", "offset": "a few", "url": "", "view": "ap SUPINE"}
    second |= {"finding": "Hantavirus", "view": "PA"}
    third |= {"age": "61.5", "url": "radiopaedia.org/cases/7", "view": "PA"}
    fourth |= {"patientid": "", "url": "http://[broken/", "view": "AP prone"}
    old = copy / "images" / third["filename"]
    third["filename"] = old.stem + ".JPEG"
    old.rename(old.with_suffix(".jpeg"))
    # Names that differ in the ending alone.
    twin = Path(fifth["filename"]).stem + ".png"
    rows.append(first | {"filename": twin, "view": "PA"})
    shutil.copy(copy / "images" / first["filename"], copy / "images" / twin)
    write_table(copy, rows)
    (copy / "annotations" / "covid-severity-scores.csv").unlink()
    builder = make(copy)
    stored = {n: e for n, (_, e) in examples(builder).items()}
    found = counts(builder)
    assert found["numbers_unreadable"] == 4
    text = "finding_without_class:Hantavirus"
    assert found[text] == 1 and Path(second["filename"]).stem not in stored
    assert found["tables_missing"] == 1
    example = stored[Path(first["filename"]).stem]
    assert math.isnan(example["age"]) and math.isnan(example["offset"])
    assert (example["source"], example["view"]) == (b"", b"AP Supine")
    example = stored[Path(third["filename"]).stem]
    assert (example["age"], example["source"]) == (61.5, b"radiopaedia.org")
    example = stored[Path(fourth["filename"]).stem]
    assert (example["source"], example["view"]) == (b"", b"AP prone")
    assert example["patient_id"] == example["example_id"]
    assert builder.info.metadata["unit"] == "patients or near-duplicate groups"
    assert {fifth["filename"], twin} <= stored.keys()
    assert Path(twin).stem not in stored


def test_half_a_release(copy, tmp_path, fails):
    (copy / "images").rename(tmp_path / "images")
    fails(copy, "metadata.csv", "images")
    (copy / "images").mkdir()
    fails(copy, "images: ", "metadata.csv")
    shutil.rmtree(copy / "images")
    (tmp_path / "images").rename(copy / "images")
    (copy / "metadata.csv").unlink()
    fails(copy, "images", "metadata.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no rows"),
        ("patient id,source,country\n1,2,3\n", "missing: patientid, finding"),
        ("patientid,finding,view,modality,folder,filename,url\n1,2\n", "2 cells"),
    ],
)
def test_unusable_metadata(copy, content, words, fails):
    (copy / "metadata.csv").write_text(content)
    fails(copy, "metadata.csv", words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("## only a comment\n", "none"),
        ("filename,opacity_mean\na.jpg,1\n", "filename, opacity_mean"),
        ("filename,geographic_mean,opacity_mean\na.jpg,9,1\n", "a.jpg,9,1"),
        ("filename,geographic_mean,opacity_mean\na.jpg,1,6.1\n", "a.jpg,1,6.1"),
        ("filename,geographic_mean,opacity_mean\na.jpg,1\n", "a.jpg,1"),
        ("filename,geographic_mean,opacity_mean\na.jpg,1,x\n", "a.jpg,1,x"),
        ("filename,geographic_mean,opacity_mean\na,1,1\na,1,1\n", "a,1,1"),
    ],
)
def test_unusable_severity_scores(copy, content, words, fails):
    (copy / "annotations" / "covid-severity-scores.csv").write_text(content)
    fails(copy, "covid-severity-scores.csv", words)
