"""The covidx_cxr builder, from a release on disk to what a reader gets; no TensorFlow."""

import collections
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tfds_builders.build import build
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import fold_of, split_of, train_or_val
from tfds_builders.phantom import write_release

BINARY, THREE = ["negative", "positive"], ["normal", "pneumonia", "COVID-19"]
SEVERITY = ["level1", "level2"]
ORIGINAL = "512_original_split"


def phantom(folder, layout, n=48, seed=1):
    return write_release("covidx_cxr", folder / layout, n, seed, 64, layout)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return phantom(tmp_path_factory.mktemp("phantom"), "9")


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory):
    return phantom(tmp_path_factory.mktemp("phantom"), "kaggle")


@pytest.fixture
def copy(kaggle, tmp_path):
    return shutil.copytree(kaggle, tmp_path / "covidx-cxr2")


@pytest.fixture(scope="module")
def builder(release, tmp_path_factory):
    return build("covidx_cxr", release, tmp_path_factory.mktemp("data"), quiet=True)


def make(release, tmp_path, config="512"):
    data = tmp_path / f"data-{config}"
    return build(f"covidx_cxr/{config}", release, data, quiet=True)


def examples(builder):
    return {
        example["example_id"].decode(): (split, example)
        for split in builder.info.splits
        for example in builder.as_data_source(split)
    }


def listed(path, labels):
    """(patient, file, label, source) of each line, by a regular expression."""
    pattern = rf"(.+) (\S+) ({'|'.join(labels)})(?: (\S+))?"
    lines = path.read_text().splitlines()
    return [re.fullmatch(pattern, line).groups("") for line in lines]


def check(builder, lists, images, labels):
    """Every listed picture that is there is stored once, as its line says."""
    stored = examples(builder)
    rows = {
        Path(name).stem: (split, patient, label, source)
        for split, path in lists.items()
        for patient, name, label, source in listed(path, labels)
        if list(images.glob(f"*/{name}"))
    }
    assert sorted(stored) == sorted(rows)
    feature = builder.info.features["label"]
    assert feature.names == labels
    same = collections.defaultdict(set)
    for name, (_, example) in stored.items():
        split, patient, label, source = rows[name]
        assert feature.int2str(example["label"]) == label
        assert example["source"].decode() == source.replace("rnsa", "rsna")
        assert example["original_split"].decode() == split
        joined = example["patient_id"].decode()
        assert example["fold"] == fold_of(joined)
        same[patient].add(joined)
    assert {len(ids) for ids in same.values()} == {1}
    return stored


def split_lists(folder, version, splits=("train", "test")):
    return {split: folder / f"{split}{version}.txt" for split in splits}


def test_newest_binary_lists_are_the_default(release, builder):
    lists = split_lists(release / "labels", "_COVIDx9B")
    stored = check(builder, lists, release / "data", BINARY)
    assert len(stored) == 48
    for split, example in stored.values():
        assert split == split_of(example["patient_id"].decode())
    metadata = builder.info.metadata
    assert metadata["release"] == "COVIDx9B" and metadata["synthetic"]
    assert metadata["unit"] == "patients"
    counts = metadata["counts"]
    train, test = (listed(lists[split], BINARY) for split in ("train", "test"))
    typos = sum(source == "rnsa" for *_, source in train + test)
    assert counts["sources spelt rnsa, read as rsna"] == typos > 0
    assert counts["listed images that are not there"] == 1
    assert counts["pictures that no list names, left out"] == 0
    for split, row in metadata["splits"].items():
        mine = [e for s, e in stored.values() if s == split]
        assert row["images"] == len(mine)
        assert row["patients"] == len({e["patient_id"] for e in mine})
        for number, label in enumerate(BINARY):
            of_label = [e for e in mine if e["label"] == number]
            assert row[label] == len(of_label)
            assert row[f"sources of {label}"] == len({e["source"] for e in of_label})


def test_pixels_are_the_files(release, builder):
    coloured = 0
    for name, (_, example) in examples(builder).items():
        folder = example["original_split"].decode()
        (path,) = (release / "data" / folder).glob(f"{name.replace('[', '[[]')}.*")
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        image = example["image"][..., 0]
        assert example["coloured"] == (pixels.ndim == 3)
        coloured += pixels.ndim == 3
        if pixels.ndim == 3:  # luma of ITU-R BT.601
            pixels = pixels @ np.array([0.114, 0.587, 0.299])
        np.testing.assert_allclose(image, pixels, atol=0.51 * example["coloured"])
    assert coloured == 1
    assert builder.info.metadata["counts"]["coloured pictures, made grey"] == 1


def test_splits_of_known_patients_never_change(builder):
    stored = examples(builder)
    by_patient = {e["patient_id"].decode(): s for s, e in stored.values()}
    known = {"SITE2-000001": "train", "5": "train", "SITE2-000004": "test"}
    assert {patient: by_patient[patient] for patient in known} == known


def test_three_classes_come_from_the_a_lists(release, tmp_path):
    builder = make(release, tmp_path, "256_three_classes")
    lists = split_lists(release / "labels", "_COVIDx9A")
    stored = check(builder, lists, release / "data", THREE)
    assert builder.info.metadata["release"] == "COVIDx9A"
    unlisted = builder.info.metadata["counts"]["pictures that no list names, left out"]
    assert unlisted == 48 - len(stored) > 0


def test_severity_lists(release, tmp_path):
    builder = make(release, tmp_path, "512_severity")
    lists = split_lists(release / "labels", "_COVIDxSev")
    stored = check(builder, lists, release / "data", SEVERITY)
    assert {e["source"] for _, e in stored.values()} == {b"ricord"}


def test_original_split_is_that_of_the_lists(kaggle, tmp_path):
    builder = make(kaggle, tmp_path, ORIGINAL)
    stored = check(builder, split_lists(kaggle, ""), kaggle, BINARY)
    for split, example in stored.values():
        patient = example["patient_id"].decode()
        listed_in = example["original_split"].decode()
        assert split == ("test" if listed_in == "test" else train_or_val(patient))
    assert {split for split, _ in stored.values()} == {"train", "val", "test"}
    metadata = builder.info.metadata
    assert metadata["release"] == "without a version"
    # As released from version 8 on: the label can be told from the source.
    test = listed(kaggle / "test.txt", BINARY)
    assert {row[2:] for row in test} == {("positive", "ricord"), ("negative", "rsna")}
    counts = metadata["counts"]
    assert (
        counts["images of the release's test list whose source tells the label"] == 12
    )
    for label in BINARY:
        assert counts[f"sources of {label} in the release's test list"] == 1
        assert metadata["splits"]["test"][f"sources of {label}"] == 1


def test_a_list_of_val_is_used(tmp_path):
    release = phantom(tmp_path, "CXR-4", n=32)
    builder = make(release, tmp_path, ORIGINAL)
    lists = split_lists(release, "", ("train", "val", "test"))
    stored = check(builder, lists, release, BINARY)
    assert all(s == e["original_split"].decode() for s, e in stored.values())


def test_version_7_has_spaces_in_ids_and_a_patient_on_both_sides(tmp_path):
    release = phantom(tmp_path, "7")
    lists = split_lists(release / "labels", "_COVIDx7B")
    stored = check(make(release, tmp_path), lists, release / "data", BINARY)
    sirm = [e["patient_id"].decode() for n, (_, e) in stored.items() if "COVID(" in n]
    assert sirm and all(re.fullmatch(r"COVID \d+", patient) for patient in sirm)
    torn = {s for s, e in stored.values() if e["patient_id"] == b"ANON191"}
    assert len(torn) == 1
    builder = make(release, tmp_path, ORIGINAL)
    torn = {s for s, e in examples(builder).values() if e["patient_id"] == b"ANON191"}
    assert "test" in torn and len(torn) == 2
    counts = builder.info.metadata["counts"]
    assert counts["patients in more than one of the release's lists"] == 1
    both = "patients whose images or copies the release's lists put into two splits"
    assert counts[both] == 1


@pytest.mark.parametrize(("layout", "version"), [("1", "_COVIDx"), ("3", "_COVIDx3")])
def test_old_lists(layout, version, tmp_path):
    release = phantom(tmp_path, layout, n=24)
    lists = split_lists(release / "labels", version)
    builder = make(release, tmp_path, "512_three_classes")
    check(builder, lists, release / "data", THREE)
    rows = {split: listed(path, THREE) for split, path in lists.items()}
    names = {split: {row[1] for row in some} for split, some in rows.items()}
    counts = builder.info.metadata["counts"]
    repeated = sum(len(rows[s]) - len(names[s]) for s in rows)
    assert counts["lines that repeat a file name of their list, skipped"] == repeated
    assert (repeated > 0) == (layout == "1")
    unknown = {row[1] for some in rows.values() for row in some if not row[3]}
    assert counts["images without a source"] == len(unknown) > 0
    labels_of = collections.defaultdict(set)
    for *_, label, source in rows["test"]:
        labels_of[source].add(label)
    told = [r for r in rows["test"] if r[3] and len(labels_of[r[3]]) == 1]
    text = "images of the release's test list whose source tells the label"
    assert counts[text] == len(told) < len(rows["test"])


def write_rows(path, rows):
    path.write_bytes(("\ufeff" + "\r\n".join(map(" ".join, rows))).encode())


def test_lists_out_of_step_with_the_files(copy, tmp_path):
    train, test = (listed(copy / f"{s}.txt", BINARY) for s in ("train", "test"))
    first, second, third, fourth = (row[1] for row in train[:4])
    # One image with two labels, one in both lists, one in the other's folder.
    train.append(("someone", first, BINARY[train[0][2] == "negative"], "cohen"))
    test.append(train[1])
    shutil.move(copy / "train" / third, copy / "test" / third)
    (copy / "train" / fourth).unlink()
    # Two files of one name, up to the ending; one that no list names; no picture.
    picture = cv2.imencode(".png", np.arange(4096, dtype=np.uint8).reshape(64, 64))[1]
    other = cv2.imencode(".jpg", np.eye(64, dtype=np.uint8) * 200)[1]
    (copy / "test" / "000004.png").write_bytes(picture.tobytes())
    (copy / "test" / "000004.jpg").write_bytes(other.tobytes())
    (copy / "test" / "nobody.png").write_bytes(picture.tobytes())
    (copy / "test" / "notes.txt").write_text("no picture")
    test += [("1001", f"000004.{s}", "negative", "cohen") for s in ("jpg", "png")]
    write_rows(copy / "train.txt", train)
    write_rows(copy / "test.txt", test)
    (copy / "patients.csv").write_text("example_id,patient\n000004.jpg,mine\n")
    builder = make(copy, tmp_path, ORIGINAL)
    stored = examples(builder)
    assert Path(first).stem not in stored and Path(fourth).stem not in stored
    assert stored[Path(second).stem][0] == "test"
    assert stored[Path(third).stem][1]["original_split"] == b"train"
    assert stored["000004.jpg"][1]["patient_id"] == b"mine"
    assert stored["000004.png"][1]["patient_id"] == b"mine"  # 1001 in the list
    counts = builder.info.metadata["counts"]
    assert counts["images listed under different labels, left out"] == 1
    assert counts["images in more than one list, taken as test"] == 1
    assert counts["images that lie in the folder of another split"] == 2
    assert counts["listed images that are not there"] == 2  # one was never there
    assert counts["pictures that no list names, left out"] == 1
    assert counts["files that are no pictures, skipped"] == 1


def test_copies_share_a_split_whatever_the_lists_say(copy, tmp_path):
    rows = {split: listed(copy / f"{split}.txt", BINARY) for split in ("train", "test")}
    (one,) = [row for row in rows["train"] if row[3] == "stonybrook"][:1]
    pixels = cv2.imread(str(copy / "train" / one[1]), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(pixels, (40, 48), interpolation=cv2.INTER_AREA)
    (copy / "test" / "copy.png").write_bytes(cv2.imencode(".png", small)[1].tobytes())
    write_rows(copy / "test.txt", [*rows["test"], ("X1", "copy.png", "positive", "x")])
    builder = make(copy, tmp_path)
    stored = examples(builder)
    (split, original), (same, copied) = stored[Path(one[1]).stem], stored["copy"]
    assert split == same and original["patient_id"] == copied["patient_id"]
    counts = builder.info.metadata["counts"]
    both = "patients whose images or copies the release's lists put into two splits"
    assert counts[both] == 1
    assert counts["patients in more than one of the release's lists"] == 0
    # The phantom plants another copy; at 48 pixels that one may go unseen.
    assert counts["groups of near-duplicates"] in (1, 2)


def fails(release, tmp_path, *words, config="512"):
    data = tmp_path / "data"
    with pytest.raises(InputError) as error:
        build(f"covidx_cxr/{config}", release, data, quiet=True)
    for word in words:
        assert word in str(error.value)
    left = [p for p in data.rglob("*") if p.is_file() and ".config" not in p.parts]
    assert left == []


def test_other_labels_name_the_config(copy, tmp_path):
    words = ("no lists with the labels normal", "covidx_cxr/512)", "negative, positive")
    fails(copy, tmp_path, *words, config="256_three_classes")
    # The first edition of the severity lists used the words of the binary ones.
    for split in ("train", "test"):
        (copy / f"{split}.txt").rename(copy / f"{split}_COVIDxSev.txt")
    fails(copy, tmp_path, "no lists with the labels negative", "none that can be read")


def test_broken_lists(copy, tmp_path):
    path = copy / "train.txt"
    whole = path.read_text()
    lines = whole.splitlines()
    lines[4] = (
        lines[4].replace(" positive", " perhaps").replace(" negative", " perhaps")
    )
    lines[6] = ""
    lines[7] = lines[7].rsplit(".", 1)[0]
    path.write_text("\n".join(lines))
    fails(copy, tmp_path, "train.txt", "2 lines are not", "line 5: ", "line 8: ")
    for content, words in [
        (b"\n\n", "the list is empty"),
        (whole.encode("utf-16"), "not UTF-8"),
    ]:
        path.write_bytes(content)
        fails(copy, tmp_path, "train.txt", words)
    path.unlink()
    fails(copy, tmp_path, "no COVIDx release", "train*.txt")


def test_half_unpacked(copy, tmp_path):
    shutil.move(copy / "test", tmp_path / "test")
    fails(copy, tmp_path, "no folder test", "folders that are there: train")
    (copy / "test").mkdir()
    fails(copy, tmp_path, "no pictures in the folder test", "half unpacked")
    (copy / "test").rmdir()
    shutil.move(tmp_path / "test", copy / "test")
    pictures = sorted((copy / "train").iterdir())
    for path in pictures[: len(pictures) * 3 // 4]:
        path.unlink()
    missing = f"{len(pictures) * 3 // 4 + 1} of the 49 images in train.txt, test.txt"
    fails(copy, tmp_path, missing, "are not there", pictures[0].name)


def test_unusable_picture(copy, tmp_path):
    path = min((copy / "train").iterdir())
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    fails(copy, tmp_path, path.name, "truncated or damaged")
