"""The covidgr builder, from a release on disk to what a reader gets; no TensorFlow."""

import csv
import shutil

import cv2
import numpy as np
import pytest
from places import SHARED_DATA
from stored import counts, examples, needs, patients

REAL = SHARED_DATA / "COVIDGR_1.0"


def severity(release):
    with open(release / "severity.csv", newline="") as file:
        return {row["Name"]: row["Severity"] for row in csv.DictReader(file)}


def check(builder, release):
    """Every image is stored once, with its folder's label and its row's severity."""
    stored, levels = examples(builder), severity(release)
    label = builder.info.features["label"]
    level = builder.info.features["severity"]
    paths = {path.stem: path for path in release.glob("[NP]/*")}
    assert stored.keys() == paths.keys()
    for name, (_, example) in stored.items():
        folder = paths[name].parent.name
        assert label.int2str(example["label"]) == folder
        if folder == "N":
            assert level.int2str(example["severity"]) == "NEGATIVE"
        elif name in levels:
            assert level.int2str(example["severity"]) == levels[name]
        else:
            assert example["severity"] == -1
        assert example["patient_id"] == example["example_id"]
        assert example["view"] == b"PA"
        pixels = cv2.imread(str(paths[name]), cv2.IMREAD_GRAYSCALE)
        if max(pixels.shape) <= 512:
            np.testing.assert_array_equal(example["image"][..., 0], pixels)


def test_labels_and_pixels(release, builder):
    check(builder, release)
    assert builder.info.metadata["unit"] == "images"


def test_row_and_image_that_miss_each_other(copy, make):
    positive = sorted(path.stem for path in (copy / "P").iterdir())
    kept = [n for n in positive if n in severity(copy)]
    rows = [f"{n},{severity(copy)[n]}" for n in kept[3:]]
    rows += ["0" * 32 + ",MILD", kept[2] + ".jpg,severe"]
    # One folder up is where some copies have the table.
    (copy / "severity.csv").unlink()
    (copy.parent / "severity.csv").write_text("Name,Severity\n" + "\n".join(rows))
    builder = make(copy, "256")
    missing = len(positive) - len(kept[2:])
    assert counts(builder)["images_without_row"] == missing
    assert counts(builder)["rows_without_image"] == 1
    stored = examples(builder)
    assert sum(e["severity"] == -1 for _, e in stored.values()) == missing
    assert stored[kept[2]][1]["severity"] == 4


@pytest.fixture
def named(copy):
    """The films get the names film-0, film-1 and so on, even ones positive."""
    for folder, first in (("P", 0), ("N", 1)):
        for k, path in enumerate(sorted((copy / folder).iterdir())):
            path.rename(path.with_name(f"film-{first + 2 * k}.jpg"))
    (copy / "severity.csv").write_text("Name,Severity\nfilm-0,MILD\n")
    return copy


def test_splits_of_known_names_never_change(named, make):
    (named / "P" / "notes.txt").write_text("no picture")
    (named / "N" / ".DS_Store").write_text("a Mac was here")
    builder = make(named)
    stored = {name: (s, e["fold"]) for name, (s, e) in examples(builder).items()}
    assert [stored[f"film-{k}"] for k in (0, 4, 5, 6, 9)] == [
        ("test", 0),
        ("train", 3),
        ("train", 2),
        ("train", 1),
        ("train", 4),
    ]
    assert counts(builder)["files_not_images"] == 1
    assert "images_not_in_patients_csv" not in counts(builder)


def test_patients_that_the_user_knows(named, make):
    rows = [f"film-{k};person {k // 5}" for k in range(50)]
    text = "\ufeffexample_id;patient\r\n" + "\r\n".join(rows)
    (named / "patients.csv").write_text(text, encoding="utf-8")
    builder = make(named)
    assert builder.info.metadata["unit"] == "patients"
    assert counts(builder)["images_not_in_patients_csv"] == 10
    expected = {
        f"person {k}": {f"film-{5 * k + i}" for i in range(5)} for k in range(10)
    }
    expected |= {f"film-{k}": {f"film-{k}"} for k in range(50, 60)}
    assert patients(examples(builder)) == expected


def test_negative_image_with_a_severity(copy, fails):
    name = min((copy / "N").iterdir()).stem
    with open(copy / "severity.csv", "a") as file:
        file.write(f"\n{name},MILD\n")
    fails(copy, "severity.csv", name, "N")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("MILD", "LIGHT"), "'LIGHT'"),
        (lambda t: t.replace(",", "\t"), "missing: Name, Severity"),
        (lambda t: t + "\n" + t.strip().split("\n")[-1], "more than once"),
    ],
)
def test_unusable_table(copy, change, words, fails):
    path = copy / "severity.csv"
    path.write_text(change(path.read_text()))
    fails(copy, "severity.csv", words)


def test_missing_parts(copy, tmp_path, fails):
    (copy / "severity.csv").rename(tmp_path / "table")
    fails(copy, "severity.csv")
    (tmp_path / "table").rename(copy / "severity.csv")
    (copy / "N").rename(tmp_path / "N")
    fails(copy, "folder N", ": P")
    (copy / "N").mkdir()
    fails(copy, f"{copy / 'N'}: ")


def test_duplicate_names(copy, fails):
    path = min((copy / "P").iterdir())
    shutil.copy(path, copy / "N")
    fails(copy, "both N and P", path.stem)
    (copy / "N" / path.name).unlink()
    shutil.copy(path, path.with_suffix(".jpeg"))
    fails(copy, f"{path.stem}.jpeg", path.name)


def test_a_png_with_alpha_that_is_named_jpg(copy, make):
    path = min((copy / "N").iterdir())
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    png = cv2.imencode(".png", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGRA))[1]
    path.write_bytes(png.tobytes())
    stored = examples(make(copy))
    np.testing.assert_array_equal(stored[path.stem][1]["image"][..., 0], grey)


def test_pictures_that_are_refused(copy, fails):
    paths = sorted((copy / "N").iterdir())[:3]
    grey = cv2.imread(str(paths[0]), cv2.IMREAD_GRAYSCALE)
    colour = cv2.imencode(".jpg", cv2.applyColorMap(grey, cv2.COLORMAP_JET))[1]
    for path, content in zip(paths, (b"", b"<html>", colour.tobytes()), strict=True):
        path.write_bytes(content)
    fails(copy, "3 files", *(path.name for path in paths), "colour", "empty")


@needs(REAL)
def test_real_images(make):
    builder = make(REAL.parent)
    check(builder, REAL)
    assert not builder.info.metadata["synthetic"]
