"""The covid_radiography builder, from a release to what a reader gets; no TensorFlow."""

import collections
import shutil

import cv2
import numpy as np
import openpyxl
import pytest
from places import SHARED_DATA

from tfds_builders.build import build
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import fold_of, split_of
from tfds_builders.phantom import write_release

REAL = SHARED_DATA / "COVID-19_Radiography_Dataset"
MASKS = REAL.parent / "radiography_masks_mini"
CLASSES = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "r"
    return write_release("covid_radiography", folder, n=120, seed=1, size=128)


@pytest.fixture
def copy(release, tmp_path):
    return shutil.copytree(release, tmp_path / "release")


@pytest.fixture(scope="module")
def builder(release, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    return build("covid_radiography", release, data, quiet=True)


def examples(builder):
    return {
        example["example_id"].decode(): (split, example)
        for split in builder.info.splits
        for example in builder.as_data_source(split)
    }


def urls(release, label):
    """Url by lower-case name, read by hand."""
    sheet = openpyxl.load_workbook(release / f"{label}.metadata.xlsx").worksheets[0]
    header, *rows = sheet.iter_rows(values_only=True)
    name, url = header.index("FILE NAME"), header.index("URL")
    return {row[name].lower(): row[url] for row in rows if row[name]}


def check(builder, release, folder="images"):
    """Every picture once, with its folder's class, its url and its pixels."""
    stored = examples(builder)
    label = builder.info.features["label"]
    assert label.names == CLASSES
    paths = [p for c in CLASSES for p in (release / c / folder).glob("*.png")]
    assert sorted(stored) == sorted(path.stem for path in paths)
    tables = {name: urls(release, name) for name in CLASSES}
    for path in paths:
        split, example = stored[path.stem]
        name = path.relative_to(release).parts[0]
        assert label.int2str(example["label"]) == name
        url = tables[name].get(path.stem.lower(), "")
        assert example["source"].decode() == url
        assert split == split_of(example["patient_id"].decode())
    for path in paths[::7]:
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        image = stored[path.stem][1]["image"]
        np.testing.assert_array_equal(image[..., 0], pixels)


def test_v5(release, builder):
    check(builder, release)
    metadata = builder.info.metadata
    assert metadata["release"] == "v5"
    assert metadata["synthetic"]
    stored = examples(builder)
    for split, row in metadata["splits"].items():
        mine = [e for s, e in stored.values() if s == split]
        assert row["images"] == len(mine) == sum(row[c] for c in CLASSES)
        groups = len({e["patient_id"] for e in mine})
        assert row["near-duplicate groups"] == groups
    assert metadata["unit"] == "near-duplicate groups"
    assert not [text for text in metadata["counts"] if "patients.csv" in text]


def test_splits_of_known_names_never_change(builder):
    stored = examples(builder)
    for name, split, fold in [
        ("Lung_Opacity-1", "train", 4),
        ("Normal-1", "test", 0),
        ("Normal-2", "train", 1),
        ("Normal-3", "train", 3),
        ("Viral Pneumonia-1", "test", 0),
        ("Viral Pneumonia-2", "val", 1),
    ]:
        assert stored[name][1]["patient_id"].decode() == name
        assert (stored[name][0], stored[name][1]["fold"]) == (split, fold)


def test_v4(tmp_path):
    release = write_release("covid_radiography", tmp_path / "r", 12, 2, 64, "v4")
    builder = build("covid_radiography/256", release, tmp_path / "data", quiet=True)
    check(builder, release, folder="")
    assert builder.info.metadata["release"] == "v4"


def test_planted_copies_share_a_split(copy, tmp_path):
    originals = sorted((copy / "Normal" / "images").glob("*.png"))[:9]
    for i, path in enumerate(originals):
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 60]
        small = cv2.resize(pixels, (100, 100), interpolation=cv2.INTER_AREA)
        small = cv2.convertScaleAbs(small, alpha=0.9, beta=12)
        # Also across classes: the one copied is then under two labels.
        folder = copy / CLASSES[i % 4] / "images"
        code = cv2.imencode(".jpg", small, quality)[1]
        (folder / f"copy-{i}.jpg").write_bytes(code.tobytes())
    builder = build("covid_radiography", copy, tmp_path / "data", quiet=True)
    stored = examples(builder)
    for i, path in enumerate(originals):
        (split, original), (same, planted) = stored[path.stem], stored[f"copy-{i}"]
        assert original["patient_id"] == planted["patient_id"]
        assert split == same
    groups = collections.defaultdict(set)
    for _, example in stored.values():
        groups[example["patient_id"]].add(example["label"])
    counts = builder.info.metadata["counts"]
    mixed = sum(len(labels) > 1 for labels in groups.values())
    assert counts["groups of near-duplicates with more than one class"] == mixed
    assert mixed >= 6


def test_patients_and_copies_share_a_split(builder, copy, tmp_path):
    (copy / "Normal" / "images" / "notes.txt").write_text("no picture")
    group_of = {n: e["patient_id"].decode() for n, (_, e) in examples(builder).items()}
    copied = next(n for n, group in sorted(group_of.items()) if n != group)
    original = group_of[copied]
    assert len(set(group_of)) > len(set(group_of.values()))
    # Two patients whom a copied picture joins; others have many pictures.
    patient_of = {original: "z", copied: "b", "Normal-1": "z", "Normal-2": "b"}
    patient_of |= {f"Normal-{k}": f"p{k % 5}" for k in range(3, 40)}
    rows = "".join(f"{name},{patient}\n" for name, patient in patient_of.items())
    (copy / "patients.csv").write_text("example_id,patient\n" + rows)
    joined = build("covid_radiography", copy, tmp_path / "data", quiet=True)
    stored = examples(joined)
    metadata = joined.info.metadata
    unit = metadata["unit"]
    assert unit == "patients or near-duplicate groups"
    counts = metadata["counts"]
    unlisted = len(stored) - len(patient_of)
    assert counts["images whose patient patients.csv does not name"] == unlisted
    assert counts["files that are no pictures, skipped"] == 1
    splits = collections.defaultdict(set)
    for name, (split, example) in stored.items():
        patient = example["patient_id"].decode()
        assert (split, example["fold"]) == (split_of(patient), fold_of(patient))
        splits["patient", patient_of.get(name, name)].add(split)
        splits["copies", group_of[name]].add(split)
        if name in (original, copied, "Normal-1", "Normal-2"):
            assert patient == "b"  # the smaller name
        elif group_of[name] != original:
            assert patient == patient_of.get(name, group_of[name])
    assert {len(of_one) for of_one in splits.values()} == {1}
    for split, row in metadata["splits"].items():
        mine = {e["patient_id"] for s, e in stored.values() if s == split}
        assert row[unit] == len(mine)


def test_different_phantoms_are_no_copies(builder):
    stored = [e for _, e in examples(builder).values()]
    of_class = builder.info.features["label"].str2int
    # The phantom plants copies among COVID only.
    others = [e for e in stored if e["label"] != of_class("COVID")]
    assert all(e["patient_id"] == e["example_id"] for e in others)
    assert len(others) > 90


def test_rows_and_tables_that_are_missing(copy, tmp_path):
    path = copy / "Normal.metadata.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    gone = str(sheet.cell(2, 1).value)
    sheet.cell(2, 1).value = "Normal-999999"
    book.save(path)
    (copy / "COVID.metadata.xlsx").unlink()
    builder = build("covid_radiography", copy, tmp_path / "data", quiet=True)
    covid = len(list((copy / "COVID" / "images").iterdir()))
    counts = builder.info.metadata["counts"]
    assert counts["images without a row in the xlsx files (no source)"] == covid + 1
    assert counts["rows of the xlsx files without an image"] == 1
    assert counts["xlsx files that are missing"] == 1
    stored = {name.lower(): e for name, (_, e) in examples(builder).items()}
    assert stored[gone.lower()]["source"] == b""
    assert sum(e["source"] == b"" for e in stored.values()) == covid + 1


def fails(release, tmp_path, *words):
    data = tmp_path / "data"
    with pytest.raises(InputError) as error:
        build("covid_radiography", release, data, quiet=True)
    for word in words:
        assert word in str(error.value)
    left = [p for p in data.rglob("*") if p.is_file() and ".config" not in p.parts]
    assert left == []


@pytest.mark.parametrize(
    ("folders", "version"),
    [
        (["COVID-19", "NORMAL", "Viral Pneumonia"], "version 1 of"),
        (["COVID", "NORMAL", "Viral Pneumonia"], "version 2 or 3 of"),
    ],
)
def test_old_releases_are_named(tmp_path, folders, version):
    for folder in folders:
        (tmp_path / "release" / folder).mkdir(parents=True)
    fails(tmp_path / "release", tmp_path, version, "NORMAL", "version 5")


def test_half_unpacked(copy, tmp_path):
    (copy / "Normal").rename(tmp_path / "Normal")
    fails(copy, tmp_path, "no class folder Normal", "COVID, Lung_Opacity, Viral")
    (copy / "Normal").mkdir()
    fails(copy, tmp_path, "no pictures; the folder holds nothing")
    shutil.move(tmp_path / "Normal" / "masks", copy / "Normal" / "masks")
    fails(copy, tmp_path, "no pictures; the folder holds masks")


def test_two_releases_in_one_folder(copy, tmp_path):
    path = min((copy / "Normal" / "images").iterdir())
    shutil.copy(path, copy / "Normal")
    fails(copy, tmp_path, "beside the folder images", path.name)
    (copy / "Normal" / path.name).unlink()
    shutil.copy(path, copy / "COVID" / "images")
    fails(copy, tmp_path, "the name of another", path.stem)


def test_unusable_table(copy, tmp_path):
    (copy / "Normal.metadata.xlsx").write_bytes(b"not a workbook")
    fails(copy, tmp_path, "Normal.metadata.xlsx", "not readable")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_unusable_picture(copy, tmp_path, content):
    path = min((copy / "Viral Pneumonia" / "images").iterdir())
    path.write_bytes(content)
    fails(copy, tmp_path, path.name)


def check_masks(builder, release):
    stored = examples(builder)
    for name, (_, example) in stored.items():
        (path,) = release.glob(f"*/masks/{name}.png")
        picture = cv2.imread(str(path.parent.parent / "images" / path.name), 0)
        np.testing.assert_array_equal(example["image"][..., 0], picture)
        mask = example["mask"][..., 0]
        assert mask.shape == picture.shape
        assert set(np.unique(mask)) <= {0, 255}
        # By nearest neighbour each of our pixels is the one that covers its centre.
        small = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        rows, columns = (
            np.arange(n) * m // n for n, m in zip(mask.shape, small.shape, strict=True)
        )
        np.testing.assert_array_equal(mask, small[np.ix_(rows, columns)])
    return stored


def test_segmentation(release, copy, tmp_path):
    (copy / "Normal" / "masks" / "Normal-1.png").unlink()
    shutil.rmtree(copy / "Lung_Opacity")
    builder = build("covid_radiography/segmentation", copy, tmp_path, quiet=True)
    stored = check_masks(builder, copy)
    masks = {path.stem for path in copy.glob("*/masks/*.png")}
    assert masks == set(stored) and "Normal-1" not in stored
    counts = builder.info.metadata["counts"]
    assert counts["images without a mask, left out"] == 1
    assert counts["class folders that are missing"] == 1
    assert (
        "mask"
        not in build(
            "covid_radiography", release, tmp_path / "other", quiet=True
        ).info.features
    )


def test_a_mask_that_is_none(copy, tmp_path):
    path = min((copy / "COVID" / "masks").iterdir())
    cv2.imwrite(str(path), np.full((9, 9), 128, np.uint8))
    with pytest.raises(InputError, match="1 files cannot be read") as error:
        build("covid_radiography/segmentation", copy, tmp_path, quiet=True)
    assert "not a mask of black and white pixels" in str(error.value)


def test_a_release_without_masks(tmp_path):
    release = write_release("covid_radiography", tmp_path / "r", 9, 2, 64, "v4")
    with pytest.raises(InputError, match="no image has a mask"):
        build("covid_radiography/segmentation", release, tmp_path, quiet=True)


@pytest.mark.skipif(not MASKS.is_dir(), reason="the real masks are not on this disk")
def test_real_masks(tmp_path):
    builder = build("covid_radiography/segmentation", MASKS, tmp_path, quiet=True)
    stored = check_masks(builder, MASKS / "COVID-19_Radiography_Dataset")
    assert len(stored) == len(list(MASKS.rglob("masks/*.png")))
    shares = [(e["mask"] > 0).mean() for _, e in stored.values()]
    assert 0.1 < np.mean(shares) < 0.5  # lungs are about a third of a film


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not on this disk")
def test_real_images(tmp_path):
    builder = build("covid_radiography", REAL.parent, tmp_path, quiet=True)
    check(builder, REAL)
    assert not builder.info.metadata["synthetic"]
