"""The covidgr builder, from a release on disk to what a reader gets; no TensorFlow."""

import collections
import csv
import shutil

import cv2
import numpy as np
import pytest
from places import SHARED_DATA

from tfds_builders.build import build
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import fold_of, split_of
from tfds_builders.phantom import write_release

REAL = SHARED_DATA / "COVIDGR_1.0"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(
        "covidgr", tmp_path_factory.mktemp("phantom") / "r", n=60, seed=1, size=96
    )


@pytest.fixture
def copy(release, tmp_path):
    return shutil.copytree(release, tmp_path / "release" / "COVIDGR_1.0")


@pytest.fixture(scope="module")
def builder(release, tmp_path_factory):
    return build("covidgr", release, tmp_path_factory.mktemp("data"), quiet=True)


def severity(release):
    with open(release / "severity.csv", newline="") as file:
        return {row["Name"]: row["Severity"] for row in csv.DictReader(file)}


def examples(builder):
    return [
        (split, example)
        for split in builder.info.splits
        for example in builder.as_data_source(split)
    ]


def check(builder, release):
    """Every image is stored once, with its folder's label and its row's severity."""
    names = collections.Counter()
    levels = severity(release)
    label = builder.info.features["label"]
    level = builder.info.features["severity"]
    for split, example in examples(builder):
        name = example["example_id"].decode()
        names[name] += 1
        folder = label.int2str(example["label"])
        assert (release / folder / f"{name}.jpg").is_file()
        if folder == "N":
            assert level.int2str(example["severity"]) == "NEGATIVE"
        elif name in levels:
            assert level.int2str(example["severity"]) == levels[name]
        else:
            assert example["severity"] == -1
        assert example["patient_id"] == example["example_id"]
        assert example["view"] == b"PA"
        assert example["fold"] == fold_of(name)
        assert split == split_of(name)
        assert (split == "test") == (example["fold"] == 0)
    files = [path.stem for folder in "NP" for path in (release / folder).iterdir()]
    assert sorted(names.elements()) == sorted(files)


def test_labels_and_splits(release, builder):
    check(builder, release)
    assert builder.info.metadata["synthetic"]
    assert builder.info.metadata["unit"] == "images"
    for split, row in builder.info.metadata["splits"].items():
        assert row["images"] == row["N"] + row["P"]
        assert row["images"] == builder.info.splits[split].num_examples


def test_pixels_are_the_files(release, builder):
    for _, example in examples(builder):
        (path,) = release.glob(f"?/{example['example_id'].decode()}.jpg")
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert example["image"].dtype == np.uint8
        np.testing.assert_array_equal(example["image"][..., 0], pixels)


def test_row_and_image_that_miss_each_other(copy, tmp_path):
    positive = sorted(path.stem for path in (copy / "P").iterdir())
    kept = [n for n in positive if n in severity(copy)]
    rows = [f"{n},{severity(copy)[n]}" for n in kept[3:]]
    rows += ["0" * 32 + ",MILD", kept[2] + ".jpg,severe"]
    # One folder up is where some copies have the table.
    (copy / "severity.csv").unlink()
    (copy.parent / "severity.csv").write_text("Name,Severity\n" + "\n".join(rows))
    builder = build("covidgr/256", copy, tmp_path / "data", quiet=True)
    counts = builder.info.metadata["counts"]
    missing = len(positive) - len(kept[2:])
    assert counts["positive images without a row (severity -1)"] == missing
    assert counts["rows of severity.csv without an image"] == 1
    stored = {e["example_id"].decode(): e["severity"] for _, e in examples(builder)}
    assert sum(s == -1 for s in stored.values()) == missing
    assert stored[kept[2]] == 4


def known_names(release):
    """The films get the names film-0, film-1 and so on, even ones positive."""
    for folder, first in (("P", 0), ("N", 1)):
        for k, path in enumerate(sorted((release / folder).iterdir())):
            path.rename(path.with_name(f"film-{first + 2 * k}.jpg"))
    (release / "severity.csv").write_text("Name,Severity\nfilm-0,MILD\n")


def test_splits_of_known_names_never_change(copy, tmp_path):
    known_names(copy)
    (copy / "P" / "notes.txt").write_text("no picture")
    (copy / "N" / ".DS_Store").write_text("a Mac was here")
    builder = build("covidgr", copy, tmp_path / "data", quiet=True)
    stored = {e["example_id"].decode(): (s, e["fold"]) for s, e in examples(builder)}
    assert [stored[f"film-{k}"] for k in (0, 4, 5, 6, 9)] == [
        ("test", 0),
        ("train", 3),
        ("train", 2),
        ("train", 1),
        ("train", 4),
    ]
    counts = builder.info.metadata["counts"]
    assert counts["files that are no pictures, skipped"] == 1
    assert not [text for text in counts if "patients.csv" in text]


def test_patients_that_the_user_knows(copy, tmp_path):
    known_names(copy)
    rows = [f"film-{k};person {k // 5}" for k in range(50)]
    text = "\ufeffexample_id;patient\r\n" + "\r\n".join(rows)
    (copy / "patients.csv").write_text(text, encoding="utf-8")
    builder = build("covidgr", copy, tmp_path / "data", quiet=True)
    assert builder.info.metadata["unit"] == "patients"
    assert (
        builder.info.metadata["counts"]["images that patients.csv does not list"] == 10
    )
    splits = collections.defaultdict(set)
    for split, example in examples(builder):
        number = int(example["example_id"].decode().removeprefix("film-"))
        patient = example["patient_id"].decode()
        assert patient == (f"person {number // 5}" if number < 50 else f"film-{number}")
        assert (split, example["fold"]) == (split_of(patient), fold_of(patient))
        splits[patient].add(split)
    assert {len(of_patient) for of_patient in splits.values()} == {1}
    assert len(splits) == 10 + 10
    for split, row in builder.info.metadata["splits"].items():
        assert row["patients"] == sum(split in s for s in splits.values())


def fails(release, tmp_path, *words):
    data = tmp_path / "data"
    with pytest.raises(InputError) as error:
        build("covidgr", release, data, quiet=True)
    for word in words:
        assert word in str(error.value)
    left = [p for p in data.rglob("*") if p.is_file() and ".config" not in p.parts]
    assert left == []


def test_negative_image_with_a_severity(copy, tmp_path):
    name = min((copy / "N").iterdir()).stem
    with open(copy / "severity.csv", "a") as file:
        file.write(f"\n{name},MILD\n")
    fails(copy, tmp_path, "severity.csv", name, "folder N have a severity")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("MILD", "LIGHT"), "'LIGHT'"),
        (lambda t: t.replace(",", "\t"), "missing: Name, Severity"),
        (lambda t: t + "\n" + t.strip().split("\n")[-1], "more than once"),
    ],
)
def test_unusable_table(copy, tmp_path, change, words):
    path = copy / "severity.csv"
    path.write_text(change(path.read_text()))
    fails(copy, tmp_path, "severity.csv", words)


def test_missing_parts(copy, tmp_path):
    (copy / "severity.csv").rename(tmp_path / "table")
    fails(copy, tmp_path, "no severity.csv")
    (tmp_path / "table").rename(copy / "severity.csv")
    (copy / "N").rename(tmp_path / "N")
    fails(copy, tmp_path, "no folder N", "there are: P")
    (copy / "N").mkdir()
    fails(copy, tmp_path, "holds no .jpg", "half unpacked")


def test_duplicate_names(copy, tmp_path):
    path = min((copy / "P").iterdir())
    shutil.copy(path, copy / "N")
    fails(copy, tmp_path, "both N and P", path.stem)
    (copy / "N" / path.name).unlink()
    shutil.copy(path, path.with_suffix(".jpeg"))
    fails(copy, tmp_path, "a second picture of this name")


def test_pictures_that_are_not_what_they_seem(copy, tmp_path):
    paths = sorted((copy / "N").iterdir())
    grey = cv2.imread(str(paths[0]), cv2.IMREAD_GRAYSCALE)
    png = cv2.imencode(".png", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGRA))[1]
    paths[0].write_bytes(png.tobytes())  # a PNG named .jpg, with alpha: tolerated
    builder = build("covidgr", copy, tmp_path / "first", quiet=True)
    stored = {e["example_id"].decode(): e["image"] for _, e in examples(builder)}
    np.testing.assert_array_equal(stored[paths[0].stem][..., 0], grey)
    whole = paths[1].read_bytes()
    for content, words in [
        (whole[: len(whole) // 2], "truncated"),
        (b"", "empty"),
        (cv2.imencode(".png", grey.astype(np.uint16))[1].tobytes(), "16-bit PNG"),
        (
            cv2.imencode(".jpg", cv2.applyColorMap(grey, cv2.COLORMAP_JET))[1],
            "colour",
        ),
    ]:
        paths[1].write_bytes(bytes(content))
        fails(copy, tmp_path, paths[1].name, words)


def test_unusable_patients(copy, tmp_path):
    (copy / "patients.csv").write_text("example_id,patient\nnobody,1\n")
    fails(copy, tmp_path, "patients.csv", "not in the release: nobody")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not on this disk")
def test_real_images(tmp_path):
    builder = build("covidgr", REAL.parent, tmp_path, quiet=True)
    check(builder, REAL)
    assert not builder.info.metadata["synthetic"]
