"""The image_folder builder, from folders on disk to what a reader gets."""

import collections
import csv
import functools
import hashlib
import itertools
import math
import re
import runpy
import shutil
import sys

import cv2
import numpy as np
import pydicom
import pytest
import tensorflow_datasets as tfds
from places import REPOSITORY, SHARED_DATA
from stored import counts, examples, needs

from tfds_builders.build import build, make_builder
from tfds_builders.common.build.builder import Options
from tfds_builders.common.build.summary import summary
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import train_or_val
from tfds_builders.image_folder.contents import years
from tfds_builders.phantom import write_release

REAL = SHARED_DATA / "COVIDGR_1.0"
README = REPOSITORY / "tfds_builders/image_folder/README.md"
TEXTS = ("view", "sex", "manufacturer", "modality", "photometric_interpretation")


@pytest.fixture(scope="module")
def classes(phantom):
    return phantom("image_folder", "classes")


@pytest.fixture(scope="module")
def dicom(phantom):
    return phantom("image_folder", "dicom")


@pytest.fixture
def small(tmp_path):
    """Four different pictures in two classes."""
    for k, name in enumerate(("A/1.png", "A/2.png", "B/1.png", "B/2.png")):
        write(tmp_path / "small" / name, noise(k))
    return tmp_path / "small"


def noise(seed, shape=(40, 60)):
    """A smooth random picture: no copy of one with another seed."""
    grid = np.random.default_rng(seed).random((9, 9))
    return (cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_LINEAR) * 255).astype(
        np.uint8
    )


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


def check(builder, release, formats):
    """Every file once, with its folder's class, its pixels, its split's hash."""
    stored = examples(builder, "file")
    paths = [p for p in release.rglob("*") if p.is_file() and p.parent != release]
    assert sorted(stored) == sorted(p.relative_to(release).as_posix() for p in paths)
    label = builder.info.features["label"]
    names = sorted({p.relative_to(release).parts[-2] for p in paths})
    assert label.names == names
    seen = set()
    for path in paths:
        file = path.relative_to(release).as_posix()
        _, example = stored[file]
        assert label.int2str(example["label"]) == path.parent.name
        assert example["example_id"].decode() == file.replace("/", "~")
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(example["image"][..., 0], pixels)
        assert (example["rows"], example["columns"]) == pixels.shape
        seen.add(example["format"].decode())
        assert all(example[text] == b"" for text in TEXTS)
        assert math.isnan(example["age"]) and example["coloured"] == 0
    assert seen == formats
    return stored


def test_honest_split(release, builder):
    stored = check(builder, release, {"jpeg"})
    for file, (_, example) in stored.items():
        assert example["split_folder"].decode() == file.split("/")[0]
    metadata = builder.info.metadata
    assert metadata["unit"] == "near-duplicate groups"
    assert metadata["release"] == "a folder of {train,test}/{NORMAL,PNEUMONIA}"
    # The three ways of copying that the phantom plants are all in it.
    files, pixels = collections.defaultdict(set), collections.defaultdict(set)
    for file, (_, example) in stored.items():
        data = (release / file).read_bytes()
        files[data].add(file)
        pixels[example["image"].tobytes()].add(file)
    same_file, same_pixels, groups = set(), set(), collections.defaultdict(set)
    for found, where in ((files, same_file), (pixels, same_pixels)):
        for members in found.values():
            parts = {file.split("/")[0] for file in members}
            if len(parts) == 2:
                where |= {file for file in members if file.startswith("test")}
            # Copies are on one side, whatever the folders say.
            assert len({stored[file][0] for file in members}) == 1
    for file, (_, example) in stored.items():
        groups[example["patient_id"]].add(file.split("/")[0])
    across = sum(len(parts) == 2 for parts in groups.values())
    assert len(same_file) >= 1 and len(same_pixels - same_file) >= 1
    assert across > len(same_pixels)  # there are altered copies too
    found = counts(builder)
    assert found["copies_identical:test"] == len(same_file)
    assert found["copies_of_same_pixels:test"] == len(same_pixels - same_file)
    assert found["patients_across_folders:test"] == across
    assert metadata["warnings"] == {}


def test_original_split(release, make):
    builder = make(release, "256_original_split")
    stored = examples(builder, "file")
    leaking = collections.defaultdict(set)
    for file, (part, example) in stored.items():
        patient = example["patient_id"].decode()
        folder = file.split("/")[0]
        assert part == ("test" if folder == "test" else train_or_val(patient))
        leaking[patient].add(folder)
    tests = [e for f, (_, e) in stored.items() if f.startswith("test")]
    n = sum(len(leaking[e["patient_id"].decode()]) == 2 for e in tests)
    assert builder.info.metadata["warnings"] == {"split_leaks:test": n}
    assert n > 0
    assert {s for s, _ in stored.values()} == {"train", "val", "test"}


def test_folder_of_classes(classes, prepared, fails):
    builder = prepared("image_folder", "", "classes")
    stored = check(builder, classes, {"jpeg", "png"})
    assert {e["split_folder"] for _, e in stored.values()} == {b""}
    assert not [key for key in counts(builder) if "across_folders" in key]
    fails(classes, "none", "train/", config="512_original_split")


def test_names_of_classes_are_kept(prepared):
    """Two trees in one process, and all ways of opening what was prepared."""
    for layout, names in (
        (None, ["NORMAL", "PNEUMONIA"]),
        ("classes", ["COVID", "non-COVID"]),
    ):
        builder = (
            prepared("image_folder", "", layout) if layout else prepared("image_folder")
        )
        data, path = builder.data_dir_root, builder.data_path
        assert (path / "label.labels.txt").read_text() == "\n".join([*names, ""])
        again = make_builder("image_folder", data)
        read_only = tfds.builder_from_directory(path)
        by_name = tfds.builder("image_folder/512", data_dir=data)
        for builder in (again, read_only, by_name):
            assert builder.info.features["label"].names == names
            assert builder.info.features["label"].num_classes == 2
        source = tfds.data_source("image_folder/512", data_dir=data)
        assert {e["label"] for e in source["train"]} == {0, 1}
    assert "tensorflow" not in sys.modules


def test_other_files_are_not_taken_for_those_that_are_prepared(release, builder, small):
    again = functools.partial(build, "image_folder", data_dir=builder.data_dir_root)
    assert again(manual_dir=release).data_path == builder.data_path
    shutil.copy(release / "SYNTHETIC.txt", small)
    with pytest.raises(InputError, match="already prepared") as error:
        again(manual_dir=small)
    assert str(small) in error.value.found


# DICOM


def display(header):
    """Values 0-1 by the formulas of DICOM PS3.3 C.11.1 and C.11.2.1.2."""
    slope = float(header.get("RescaleSlope", 1))
    x = header.pixel_array * slope + float(header.get("RescaleIntercept", 0))
    if "WindowCenter" in header:
        centre, width = float(header.WindowCenter), float(header.WindowWidth)
        y = np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    else:
        y = x / (2**header.BitsStored - 1)
    return 1 - y if header.PhotometricInterpretation == "MONOCHROME1" else y


def test_dicom(dicom, prepared):
    builder = prepared("image_folder", "", "dicom")
    stored = examples(builder, "file")
    paths = sorted(p for p in dicom.rglob("*/*/*") if p.is_file())
    assert len(stored) == len(paths) == 90
    splits = collections.defaultdict(set)
    for path in paths:
        file = path.relative_to(dicom).as_posix()
        part, example = stored[file]
        header = pydicom.dcmread(path)
        text = f"cxr_jax pseudonym {header.PatientID}"
        pseudonym = hashlib.sha256(text.encode()).hexdigest()[:16]
        splits[header.PatientID].add(part)
        assert example["patient_id"].decode() == pseudonym
        eight = np.rint(display(header) * 255)
        np.testing.assert_allclose(example["image"][..., 0], eight, atol=1)
        assert (example["rows"], example["columns"]) == (header.Rows, header.Columns)
        assert example["format"] == b"dicom"
        assert example["view"].decode() == header.ViewPosition
        assert example["sex"].decode() == header.PatientSex
        assert example["manufacturer"].decode() == header.Manufacturer
        assert example["modality"].decode() == header.Modality
        photometric = example["photometric_interpretation"].decode()
        assert photometric == header.PhotometricInterpretation
        assert example["age"] == min(int(header.PatientAge[:3]), 90)
        values = [v for v in example.values() if isinstance(v, bytes)]
        assert not [v for v in values if header.PatientID.encode() in v]
        assert not [v for v in values if header.StudyInstanceUID.encode() in v]
    assert {len(parts) for parts in splits.values()} == {1}
    metadata = builder.info.metadata
    assert metadata["unit"] == "patients"
    assert sum(row["patients"] for row in metadata["splits"].values()) == len(splits)
    assert metadata["counts"]["images_in_nested_folders"] == 90


def test_16_bits(dicom, small, make):
    for path in itertools.islice(sorted(dicom.rglob("*.dcm")), 0, 8, 3):
        shutil.copy(path, small / "A")
    builder = make(small, "512_16bit")
    stored = examples(builder, "file")
    for file, (_, example) in stored.items():
        assert example["image"].dtype == np.uint16
        if file.endswith(".dcm"):
            full = np.rint(display(pydicom.dcmread(small / file)) * 65535)
            np.testing.assert_allclose(example["image"][..., 0], full, atol=1)
        else:
            pixels = cv2.imread(str(small / file), cv2.IMREAD_GRAYSCALE)
            full = pixels.astype(int) * 257
            np.testing.assert_array_equal(example["image"][..., 0], full)
    assert {e["format"] for _, e in stored.values()} == {b"png", b"dicom"}
    # Only some of the pictures have a header that names a patient.
    assert builder.info.metadata["unit"] == "patients or near-duplicate groups"


def test_one_picture_in_several_formats_is_one(dicom, small, make):
    path = sorted(dicom.rglob("*.dcm"))[3]
    shutil.copy(path, small / "A" / "film.dcm")
    film = np.rint(display(pydicom.dcmread(path)) * 255).astype(np.uint8)
    write(small / "B" / "film.png", film)
    write(small / "A" / "film.jpg", film)
    stored = examples(make(small), "file")
    names = {f: e["patient_id"] for f, (_, e) in stored.items() if "film" in f}
    assert len(names) == 3 and len(set(names.values())) == 1
    assert len(names["A/film.dcm"]) == 16


def change(path, **values):
    header = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(header, name, value)
    header.save_as(path)


def test_headers_that_name_nobody_or_too_much(dicom, small, make):
    paths = [
        shutil.copy(path, small / "B" / f"zanoni_{k}.dcm")
        for k, path in enumerate(sorted(dicom.rglob("*.dcm"))[::2][:5])
    ]
    for path, name in zip(
        paths, ("Zanoni^Anna", "Roe", "", "SYNTHETIC", "Do"), strict=True
    ):
        change(path, PatientID="17", PatientName=name, PatientSex="O", PatientAge="")
    builder = make(small)
    stored = examples(builder, "file")
    metadata = builder.info.metadata
    assert metadata["counts"]["patient_id_constant"] == 5
    assert metadata["unit"] == "near-duplicate groups"
    for file, (_, example) in stored.items():
        assert example["sex"] == b"" and math.isnan(example["age"])
        assert file.replace("/", "~") == example["example_id"].decode()
    assert metadata["warnings"]["paths_name_patient"] == 1
    for path, identity in zip(
        paths, ("ANONYMOUS", "0000", "ANON-1", "x2", ""), strict=True
    ):
        change(path, PatientID=identity, PatientName="")
    builder = make(small)
    assert counts(builder)["images_without_patient"] == 4 + 3


def test_ages():
    for text, age in [
        ("045Y", 45),
        ("018M", 1.5),
        ("000D", 0),
        ("089Y", 89),
        ("090Y", 90),
        ("101Y", 90),
        ("052W", 52 * 7 / 365.25),
        (" 45y ", 45),
    ]:
        assert years(text) == pytest.approx(age, abs=1e-9)
    for text in ("", "45", "Y", "0045Y", "-45Y", "old"):
        assert math.isnan(years(text))


def test_damaged_headers_do_not_stop_the_plan(dicom, small, make):
    whole = min(dicom.rglob("*.dcm")).read_bytes()
    (small / "A" / "short.dcm").write_bytes(whole[:400])
    (small / "A" / "text.dcm").write_bytes(b"no DICOM at all")
    (small / "B" / "IM1").write_bytes(whole[:132] + b"\xff" * 300)
    (small / "B" / "gone.png").symlink_to(small / "nowhere.png")
    (small / "B" / "empty.jpg").write_bytes(b"")
    builder = make(small, max_rejected=5)
    assert len(examples(builder, "file")) == 4
    with open(builder.data_path / "rejected.csv", newline="") as file:
        reasons = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert sorted(reasons) == [
        "A/short.dcm",
        "A/text.dcm",
        "B/IM1",
        "B/empty.jpg",
        "B/gone.png",
    ]
    assert "DICOM" in reasons["A/text.dcm"]
    assert reasons["B/gone.png"] == "No such file or directory"
    assert "empty" in reasons["B/empty.jpg"]


# Pictures


def test_pictures_that_are_not_what_they_seem(small, make):
    grey = noise(9)
    png = cv2.imencode(".png", grey)[1].tobytes()
    (small / "A" / "png.jpg").write_bytes(png)
    tinted = np.stack([grey // 2, grey, grey], -1)
    write(small / "B" / "tinted.png", tinted)
    builder = make(small)
    stored = examples(builder, "file")
    assert stored["A/png.jpg"][1]["format"] == b"png"
    np.testing.assert_array_equal(stored["A/png.jpg"][1]["image"][..., 0], grey)
    assert stored["B/tinted.png"][1]["coloured"] == 1
    assert counts(builder)["images_coloured"] == 1
    sixteen = cv2.imencode(".png", grey.astype(np.uint16) * 16)[1].tobytes()
    (small / "A" / "16.png").write_bytes(sixteen)
    deep = make(small, "512_16bit")
    assert counts(deep)["images_of_16_bits:12"] == 1
    pixels = examples(deep, "file")["A/16.png"][1]["image"][..., 0]
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(
        pixels, np.rint(grey.astype(float) * 16 * 65535 / 4095)
    )


def test_pictures_are_known_by_their_content(small, make, fails):
    jpeg = cv2.imencode(".jpg", noise(3))[1].tobytes()
    png = cv2.imencode(".png", noise(4))[1].tobytes()
    for name in ("a.jfif", "b.jpe", "c", "d.webp", "e.JPG_large"):
        (small / "A" / name).write_bytes(jpeg)
        jpeg += name.encode()  # behind the end marker: other files
    (small / "B" / "f.tmp").write_bytes(png)
    (small / "A" / "=notes.docx").write_bytes(b"PK\x03\x04")
    (small / "A" / "list").write_bytes(b"a,b")
    builder = make(small)
    stored = examples(builder, "file")
    for name in ("A/a.jfif", "A/b.jpe", "A/c", "A/d.webp", "A/e.JPG_large"):
        assert stored[name][1]["format"] == b"jpeg"
    assert stored["B/f.tmp"][1]["format"] == b"png"
    found = counts(builder)
    assert found["files_not_images"] == 2
    assert found["files_skipped:A (zip, docx or xlsx)"] == 1
    assert found["files_skipped:A (no ending)"] == 1
    said = summary(builder)
    assert "1 of these in A (zip, docx or xlsx)" in said
    with open(builder.data_path / "skipped.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", "kind"],
            ["A/=notes.docx", "zip, docx or xlsx"],
            ["A/list", ""],
        ]


@pytest.mark.parametrize("suffix", [".bmp", ""])
def test_pictures_of_other_formats_are_rejected_with_advice(small, fails, suffix):
    data = cv2.imencode(".bmp", noise(3))[1].tobytes()
    (small / "A" / f"a{suffix}").write_bytes(data)
    error = fails(small, f"A/a{suffix}: not a PNG, JPEG, TIFF or WebP but a BMP")
    assert "Convert it to PNG" in str(error)


@pytest.mark.parametrize("kind", ["tiff", "webp"])
def test_tiff_and_webp_are_read(small, make, kind):
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101]
    data = cv2.imencode(f".{kind}", noise(3), lossless)[1].tobytes()
    (small / "A" / f"a.{kind}").write_bytes(data)
    _, example = examples(make(small), "file")[f"A/a.{kind}"]
    assert example["format"] == kind.encode()
    np.testing.assert_array_equal(example["image"][..., 0], noise(3))


def test_odd_sizes(tmp_path, make):
    shapes = {"A/dot.png": (1, 1), "A/line.png": (5000, 20), "B/wide.jpg": (7, 900)}
    for file, shape in shapes.items():
        write(tmp_path / "r" / file, noise(3, shape))
    builder = make(tmp_path / "r", "256")
    assert builder.info.metadata["warnings"] == {
        **{f"films_too_small:{file[2:]}": 1 for file in shapes},
        "films_of_one_grey:dot.png": 1,
    }
    stored = examples(builder, "file")
    for file, shape in shapes.items():
        example = stored[file][1]
        assert (example["rows"], example["columns"]) == shape
    assert stored["A/dot.png"][1]["image"].shape == (1, 1, 1)
    assert stored["A/line.png"][1]["image"].shape == (256, 1, 1)
    assert stored["B/wide.jpg"][1]["image"].shape == (2, 256, 1)


def test_two_pictures(tmp_path, make, fails):
    for k, label in enumerate("AB"):
        write(tmp_path / "r" / label / "x.png", noise(k))
    builder = make(tmp_path / "r")
    assert len(examples(builder, "file")) == 2
    (tmp_path / "r" / "B" / "x.png").unlink()
    fails(tmp_path / "r", "tree of class folders")


def test_names_of_all_kinds(small, make):
    names = ("x.png", "x.jpg", "x.PNG", "a b (1).png", "ü~%.png", "new\nline.png")
    for k, name in enumerate(names):
        write(small / "B" / "p 1" / name, noise(20 + k))
    builder = make(small)
    stored = examples(builder, "file")
    assert {f"B/p 1/{name}" for name in names} < set(stored)
    ids = [e["example_id"].decode() for _, e in stored.values()]
    assert len(set(ids)) == len(ids) == 4 + len(names)
    assert {"B~p 1~ü%7E%25.png", "B~p 1~new%0Aline.png"} < set(ids)


def test_patients_from_the_program_of_the_readme(
    small, tmp_path, monkeypatch, make, fails
):
    for k, person in enumerate(("anna", "bert, c", "anna")):
        write(small / "B" / person / f"{k}.png", noise(30 + k))
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(program.replace("my-folder", "small"))
    runpy.run_path("program.py")
    builder = make(small)
    patients = {
        f: e["patient_id"].decode() for f, (_, e) in examples(builder, "file").items()
    }
    assert patients["B/anna/0.png"] == patients["B/anna/2.png"] == "anna"
    assert patients["B/bert, c/1.png"] == "bert, c"
    assert patients["A/1.png"] == patients["A/2.png"] == "A"
    assert builder.info.metadata["unit"] == "patients"
    (small / "patients.csv").write_text("example_id,patient\nB~anna~9.png,anna\n")
    fails(small, "patients.csv", "B~anna~9")


def test_val_folder_is_kept_and_compared(tmp_path, make, fails):
    tree = tmp_path / "archive" / "chest_xray" / "chest_xray"
    for part in ("train", "validation", "Test"):
        for label in "AB":
            seed = sum(map(ord, part + label))
            write(tree / part / label / f"{part}.png", noise(seed))
    shutil.copy(tree / "train" / "A" / "train.png", tree / "validation" / "B")
    shutil.copy(tree / "train" / "A" / "train.png", tree / "Test" / "A")
    manual_dir = tmp_path / "archive"
    builder = make(manual_dir, "512_original_split")
    assert {f.split("/")[0]: s for f, (s, _) in examples(builder, "file").items()} == {
        "train": "train",
        "validation": "val",
        "Test": "test",
    }
    found = counts(builder)
    for part in ("test", "val"):
        assert found[f"copies_identical:{part}"] == 1
        assert found[f"patients_across_folders:{part}"] == 1
    assert found["near_duplicate_groups_of_several_classes"] == 1
    leaks = {"split_leaks:test": 1, "split_leaks:val": 1}
    assert builder.info.metadata["warnings"] == leaks
    shutil.rmtree(tree / "train")
    fails(manual_dir, "val, test", config="512_original_split")


@pytest.mark.parametrize("layout", ["classes", "dicom"])
def test_phantom_has_the_same_bytes_again(layout, tmp_path):
    found = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        release = write_release("image_folder", tmp_path / name, 6, seed, 48, layout)
        paths = sorted(release.rglob("image*")) + sorted(release.rglob("IM0*"))
        found.append([(p.relative_to(release), p.read_bytes()) for p in paths])
    assert len(found[0]) == 6 and found[0] == found[1] != found[2]


@needs(REAL)
def test_real_images(tmp_path, make):
    for label in "NP":
        (tmp_path / "COVIDGR" / label).mkdir(parents=True)
        for path in sorted((REAL / label).iterdir())[:20]:
            shutil.copy(path, tmp_path / "COVIDGR" / label)
    builder = make(tmp_path / "COVIDGR")
    check(builder, tmp_path / "COVIDGR", {"jpeg"})
    assert not builder.info.metadata["synthetic"]


# Patients in the names


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Three films of each of 20 people, whom only the names know."""
    root = tmp_path_factory.mktemp("people") / "tree"
    for k in range(60):
        label = "A" if k % 3 else "B"
        write(root / label / f"person{k // 3}_virus_{k}.png", noise(1000 + k))
    return root


def in_train_and_test(builder):
    """How many test films are of a person in train, by their names."""
    people = collections.defaultdict(list)
    for split, example in examples(builder, "file").values():
        person = re.search(r"person\d+_", example["file"].decode())[0]
        people[split].append(person)
    return sum(person in people["train"] for person in people["test"])


def test_patients_in_names_are_suggested_and_not_taken(people, make):
    builder = make(people)
    assert builder.info.metadata["unit"] == "near-duplicate groups"
    assert in_train_and_test(builder) > 3
    assert builder.info.metadata["patients_suggested"] == [[r"/(person\d+)_", 60, 20]]
    said = summary(builder)
    assert "No patients are known" in said
    assert r"--patients_from='/(person\d+)_'  60 films of 20 patients" in said


def test_patients_from_names(people, make, tmp_path):
    builder = make(people, patients_from=r"/(person\d+)_")
    metadata = builder.info.metadata
    assert metadata["unit"] == "patients" and metadata["patients_suggested"] == []
    assert in_train_and_test(builder) == 0
    stored = examples(builder, "file")
    assert stored["A/person1_virus_4.png"][1]["patient_id"] == b"person1"
    assert "No patients are known" not in summary(builder)
    data = builder.data_dir_root
    build("image_folder", people, data, True, Options(patients_from=r"/(person\d+)_"))
    with pytest.raises(InputError, match="already prepared with --patients_from"):
        build("image_folder", people, data, True)


def test_patients_from_names_are_of_image_folder_only(tmp_path):
    with pytest.raises(InputError, match="is for image_folder"):
        build("covidgr", tmp_path, tmp_path, True, Options(patients_from="(a)"))
