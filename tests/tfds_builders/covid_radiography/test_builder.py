"""The covid_radiography builder, from a release to what a reader gets; no TensorFlow."""

import collections
import shutil

import cv2
import numpy as np
import openpyxl
import pytest
from places import SHARED_DATA
from stored import counts, examples, needs

from tfds_builders.build import build
from tfds_builders.phantom import write_release

REAL = SHARED_DATA / "COVID-19_Radiography_Dataset"
MASKS = REAL.parent / "radiography_masks_mini"
CLASSES = ["COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"]


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
        example = stored[path.stem][1]
        name = path.relative_to(release).parts[0]
        assert label.int2str(example["label"]) == name
        url = tables[name].get(path.stem.lower(), "")
        assert example["source"].decode() == url
    for path in paths[::7]:
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        image = stored[path.stem][1]["image"]
        np.testing.assert_array_equal(image[..., 0], pixels)


def test_v5(release, builder):
    check(builder, release)
    metadata = builder.info.metadata
    assert metadata["release"] == "v5"
    assert metadata["unit"] == "near-duplicate groups"
    assert "images_not_in_patients_csv" not in metadata["counts"]


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


def test_v4(tmp_path, make):
    release = write_release("covid_radiography", tmp_path / "r", 12, 2, 64, "v4")
    builder = make(release, "256")
    check(builder, release, folder="")
    assert builder.info.metadata["release"] == "v4"


def test_planted_copies_share_a_split(copy, make):
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
    builder = make(copy)
    stored = examples(builder)
    for i, path in enumerate(originals):
        (split, original), (same, planted) = stored[path.stem], stored[f"copy-{i}"]
        assert original["patient_id"] == planted["patient_id"]
        assert split == same
    groups = collections.defaultdict(set)
    for _, example in stored.values():
        groups[example["patient_id"]].add(example["label"])
    found = counts(builder)
    mixed = sum(len(labels) > 1 for labels in groups.values())
    assert found["near_duplicate_groups_of_several_classes"] == mixed
    assert mixed >= 6


def test_patients_and_copies_share_a_split(builder, copy, make):
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
    joined = make(copy)
    stored = examples(joined)
    metadata = joined.info.metadata
    assert metadata["unit"] == "patients or near-duplicate groups"
    found = counts(joined)
    unlisted = len(stored) - len(patient_of)
    assert found["images_not_in_patients_csv"] == unlisted
    assert found["files_not_images"] == 1
    splits = collections.defaultdict(set)
    for name, (split, example) in stored.items():
        patient = example["patient_id"].decode()
        splits["patient", patient_of.get(name, name)].add(split)
        splits["copies", group_of[name]].add(split)
        if name in (original, copied, "Normal-1", "Normal-2"):
            assert patient == "b"  # the smaller name
        elif group_of[name] != original:
            assert patient == patient_of.get(name, group_of[name])
    assert {len(of_one) for of_one in splits.values()} == {1}


def test_different_phantoms_are_no_copies(builder):
    stored = [e for _, e in examples(builder).values()]
    of_class = builder.info.features["label"].str2int
    # The phantom plants copies among COVID only.
    others = [e for e in stored if e["label"] != of_class("COVID")]
    assert all(e["patient_id"] == e["example_id"] for e in others)
    assert len(others) > 90


def test_rows_and_tables_that_are_missing(copy, make):
    path = copy / "Normal.metadata.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    gone = str(sheet.cell(2, 1).value)
    sheet.cell(2, 1).value = "Normal-999999"
    book.save(path)
    (copy / "COVID.metadata.xlsx").unlink()
    builder = make(copy)
    covid = len(list((copy / "COVID" / "images").iterdir()))
    found = counts(builder)
    assert found["images_without_row"] == covid + 1
    assert found["rows_without_image"] == 1
    assert found["tables_missing"] == 1
    stored = {name.lower(): e for name, (_, e) in examples(builder).items()}
    assert stored[gone.lower()]["source"] == b""
    assert sum(e["source"] == b"" for e in stored.values()) == covid + 1


@pytest.mark.parametrize(
    ("folders", "version"),
    [
        (["COVID-19", "NORMAL", "Viral Pneumonia"], "version 1 of"),
        (["COVID", "NORMAL", "Viral Pneumonia"], "version 2 or 3 of"),
    ],
)
def test_old_releases_are_named(tmp_path, folders, version, fails):
    for folder in folders:
        (tmp_path / "release" / folder).mkdir(parents=True)
    fails(tmp_path / "release", version, "NORMAL", "version 5")


def test_half_unpacked(copy, tmp_path, fails):
    (copy / "Normal").rename(tmp_path / "Normal")
    fails(copy, "class folder Normal", "COVID, Lung_Opacity, Viral")
    (copy / "Normal").mkdir()
    fails(copy, "Normal: ")
    shutil.move(tmp_path / "Normal" / "masks", copy / "Normal" / "masks")
    fails(copy, " masks")


def test_two_releases_in_one_folder(copy, fails):
    path = min((copy / "Normal" / "images").iterdir())
    shutil.copy(path, copy / "Normal")
    fails(copy, f"{copy / 'Normal'}: ", path.name)
    (copy / "Normal" / path.name).unlink()
    shutil.copy(path, copy / "COVID" / "images")
    fails(copy, path.stem, "COVID/images", "Normal/images")


def test_unusable_table(copy, fails):
    (copy / "Normal.metadata.xlsx").write_bytes(b"not a workbook")
    fails(copy, "Normal.metadata.xlsx")


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


def test_segmentation(release, copy, make):
    (copy / "Normal" / "masks" / "Normal-1.png").unlink()
    shutil.rmtree(copy / "Lung_Opacity")
    builder = make(copy, "segmentation")
    stored = check_masks(builder, copy)
    masks = {path.stem for path in copy.glob("*/masks/*.png")}
    assert masks == set(stored) and "Normal-1" not in stored
    found = counts(builder)
    assert found["without_mask_left_out"] == 1
    assert found["class_folders_missing"] == 1
    assert "mask" not in make(release).info.features


def test_walked_as_published(release, copy, make):
    """Masks are films, the end of each class is test, and the order is by class."""
    (copy / "Normal" / "masks" / "Normal-1.png").unlink()
    builder = make(copy, "walked")
    stored = examples(builder)
    paths = {}
    for path in copy.glob("*/*/*.png"):
        mask = "-mask" * (path.parent.name == "masks")
        paths[f"{path.stem}{mask}"] = path
    assert sorted(stored) == sorted(paths) and "Normal-1-mask" not in stored
    assert counts(builder)["masks_taken_as_images"] == sum("-mask" in n for n in paths)
    assert "val" not in builder.info.splits
    order = builder.as_data_source("test")
    labels = [int(each["label"]) for each in order]
    assert labels == sorted(labels)
    for number, name in enumerate(CLASSES):
        own = sorted(n for n, path in paths.items() if path.parts[-3] == name)
        held_out = own[len(own) - len(own) // 5 :]
        in_test = [n for n in own if stored[n][0] == "test"]
        assert in_test == held_out
        assert labels.count(number) == len(held_out)
    mask = cv2.imread(str(paths["COVID-1-mask"]), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(stored["COVID-1-mask"][1]["image"][..., 0], mask)


def test_a_mask_that_is_none(copy, fails):
    path = min((copy / "COVID" / "masks").iterdir())
    cv2.imwrite(str(path), np.full((9, 9), 128, np.uint8))
    fails(copy, path.stem, "not a mask", config="segmentation")


def test_a_release_without_masks(tmp_path, fails):
    release = write_release("covid_radiography", tmp_path / "r", 9, 2, 64, "v4")
    fails(release, "masks/", config="segmentation")


@needs(MASKS)
def test_real_masks(make):
    builder = make(MASKS, "segmentation")
    stored = check_masks(builder, MASKS / "COVID-19_Radiography_Dataset")
    assert len(stored) == len(list(MASKS.rglob("masks/*.png")))
    shares = [(e["mask"] > 0).mean() for _, e in stored.values()]
    assert 0.1 < np.mean(shares) < 0.5  # lungs are about a third of a film


@needs(REAL)
def test_real_images(tmp_path):
    builder = build("covid_radiography", REAL.parent, tmp_path, quiet=True)
    check(builder, REAL)
    assert not builder.info.metadata["synthetic"]
