"""Each phantom release has the bytes of the real one: names, separators, codes."""

import csv
import hashlib
import importlib
import io
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pydicom
import pytest

from tfds_builders import DATASETS
from tfds_builders.build import build
from tfds_builders.common.errors import InputError
from tfds_builders.phantom import release as release_lib
from tfds_builders.phantom import write_release
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.brixia import VENDORS, store
from tfds_builders.phantom.covid_radiography import COUNTS, class_counts
from tfds_builders.phantom.film import draw_film

SIZE = 64
BOM = b"\xef\xbb\xbf"


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def brixia(tmp_path_factory):
    return write_release("brixia", tmp_path_factory.mktemp("b") / "out", 40, size=SIZE)


@pytest.fixture(scope="module")
def rows(brixia):
    text = (brixia / "metadata_global_v2.csv").read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


@pytest.mark.parametrize("kind", DATASETS)
def test_same_arguments_same_bytes(kind, tmp_path):
    first = write_release(kind, tmp_path / "a", 9, seed=3, size=48)
    second = write_release(kind, tmp_path / "b", 9, seed=3, size=48)
    assert contents(first) == contents(second)
    other = write_release(kind, tmp_path / "c", 9, seed=4, size=48)
    assert contents(first) != contents(other)


@pytest.mark.parametrize("kind", DATASETS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_few_images_can_be_built_or_are_refused(kind, n, tmp_path):
    out = tmp_path / "new" / "out"
    least = importlib.import_module(f"tfds_builders.phantom.{kind}").LEAST
    if n < least:
        with pytest.raises(InputError, match=f"at least {least}"):
            write_release(kind, out, n, size=32)
        assert not out.exists()
        return
    release = write_release(kind, out, n, size=32)
    splits = build(kind, release, tmp_path / "data", quiet=True).info.splits
    # Of two brixia films, one may be taken out as another of a test subject's.
    assert (1 if kind == "brixia" else n) <= splits.total_num_examples <= n
    assert out in (release, release.parent)
    pictures = [
        path
        for path in release.rglob("*")
        if path.suffix in (".dcm", ".jpg", ".jpeg", ".png")
        and path.parent.name != "masks"
    ]
    assert len(pictures) == n
    text = (release / "SYNTHETIC.txt").read_text()
    assert "SYNTHETIC" in text and f"phantom {kind} OUT --n={n} --seed=0" in text
    assert sorted(path.name for path in out.parent.rglob(".*")) == []


def test_mistakes_are_told(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        write_release("brixia", tmp_path / "full", 1)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    with pytest.raises(InputError, match="a file"):
        write_release("brixia", tmp_path / "full" / "thesis.txt", 1)
    for wrong, message in [
        ({"kind": "brixa"}, "brixia, brixia_public, .*covidgr"),
        ({"layout": "v9"}, "v2, v1"),
        ({"n": 0}, "at least 1"),
        ({"size": 3}, "32 to 4096"),
        ({"seed": -1}, "--seed: -1"),
    ]:
        arguments = {"kind": "brixia", "out": tmp_path / "x", "n": 1} | wrong
        with pytest.raises(InputError, match=message):
            write_release(**arguments)
    assert not (tmp_path / "x").exists()


def test_empty_folder_and_leftovers_of_a_killed_run_are_taken_over(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    stale = tmp_path / ".out.incomplete" / "dicom_clean"
    stale.mkdir(parents=True)
    (stale / "1.dcm").write_bytes(b"half")
    write_release("brixia", out, 1, size=32)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (out / "dicom_clean" / "1.dcm").exists()


def test_a_failed_write_leaves_no_release(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left"):
        write_release("covidgr", tmp_path / "out", 3, size=32)
    assert list(tmp_path.iterdir()) == []


def test_threads_keep_the_order():
    items = list(range(37))
    assert release_lib.write_all(lambda k: k * k, items, 37, "") == [
        k * k for k in items
    ]


def test_command_line(tmp_path):
    command = [sys.executable, "-m", "tfds_builders.phantom"]
    arguments = ["covidgr", str(tmp_path / "out"), "--n=2", "--size=32"]

    def call():
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False
        )

    done = call()
    assert done.returncode == 0, done.stderr
    assert "2 synthetic images" in done.stdout and "2/2" in done.stderr
    again = call()
    assert again.returncode == 1 and "not empty" in again.stderr
    assert "Traceback" not in again.stderr
    for wrong, words in [
        ("--sise=32", "Unknown command line flag 'sise'"),
        ("--n=many", "--n=many"),
        ("more", "covidgr out more"),
    ]:
        arguments = ["covidgr", "out", wrong]
        done = call()
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and words in done.stderr
        assert done.stderr.count("\n") <= 2 and done.stdout == ""


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    release = write_release("covidgr", "~/new/out", 2, size=32)
    assert release == tmp_path / "new" / "out" / "COVIDGR_1.0"
    assert (release / "severity.csv").is_file()


# BrixIA


def test_brixia_global_table(brixia, rows):
    data = (brixia / "metadata_global_v2.csv").read_bytes()
    head = (
        "Filename;StudyDate;Modality;Columns;Rows;Manufacturer;"
        "PhotometricInterpretation;BrixiaScore;BrixiaScoreGlobal;ConsensusTestset;"
        "Subject;StudyId;Sex;AgeAtStudyDateFiveYear\n"
    )
    assert data.startswith(BOM + head.encode())
    assert b"\r" not in data and not data.endswith(b"\n") and data.count(b"\n") == 40
    names = [row["Filename"] for row in rows]
    assert len(set(names)) == 40
    assert sorted(names) == sorted(p.name for p in (brixia / "dicom_clean").iterdir())
    for row in rows:
        assert re.fullmatch(r"\d{1,20}\.dcm", row["Filename"])
        assert re.fullmatch("[0-3]{6}", row["BrixiaScore"])
        assert sum(map(int, row["BrixiaScore"])) == int(row["BrixiaScoreGlobal"])
        assert "20200304" <= row["StudyDate"] <= "20200409"
        assert re.fullmatch(r"P\d{4}", row["Subject"])
        assert re.fullmatch(r"A\d{4}", row["StudyId"])
        assert row["Sex"] in "MF" and 1 <= int(row["AgeAtStudyDateFiveYear"]) <= 19
        assert all(row.values())
    assert any(row["BrixiaScore"].startswith("0") for row in rows)
    assert max(int(Path(name).stem) for name in names) > 2**63  # overflows int64
    # A study belongs to one patient and has one date.
    studies = {(row["StudyId"], row["Subject"], row["StudyDate"]) for row in rows}
    assert len(studies) == len({row["StudyId"] for row in rows})


def test_brixia_v1_is_comma_with_age_before_sex(tmp_path):
    release = write_release("brixia", tmp_path / "out", 2, size=32, layout="v1")
    text = (release / "metadata_global_v1.csv").read_text("utf-8-sig")
    assert text.split("\n")[0].endswith("Subject,StudyId,AgeAtStudyDateFiveYear,Sex")
    assert not (release / "metadata_global_v2.csv").exists()


def test_brixia_consensus(brixia, rows):
    data = (brixia / "metadata_consensus_v1.csv").read_bytes()
    zones = "ABCDEF"
    head = ["Filename", *(f"Mean{z}" for z in zones), "MeanGlobal"]
    head += [*(f"Mode{z}" for z in zones), "ModeGlobal"]
    assert data.startswith(BOM + ",".join(head).encode() + b"\n")
    consensus = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    test = [row for row in rows if row["ConsensusTestset"] == "1"]
    assert [r["Filename"] for r in consensus] == [r["Filename"] for r in test]
    assert len(test) == 6  # 15 % of 40
    for row, scored in zip(consensus, test, strict=True):
        means = np.array([float(row[f"Mean{z}"]) for z in zones])
        modes = [int(row[f"Mode{z}"]) for z in zones]
        np.testing.assert_allclose(means * 5, np.rint(means * 5), atol=1e-9)
        assert abs(means.sum() - float(row["MeanGlobal"])) < 1e-9
        assert sum(modes) == int(row["ModeGlobal"])
        scores = np.array(list(map(int, scored["BrixiaScore"])))
        assert np.abs(means - scores).max() <= 1
    # One film per test patient, and some of them have other films outside.
    subjects = [row["Subject"] for row in test]
    assert len(set(subjects)) == len(subjects)
    outside = {row["Subject"] for row in rows if row["ConsensusTestset"] == "0"}
    assert 0 < len(set(subjects) & outside) < len(subjects)


def test_brixia_dicom_headers(brixia, rows):
    polarity = {
        "SIEMENS": 2,
        "CARESTREAM HEALTH": 1,
        "Carestream Health": 2,
        "Agfa": 1,
        "KODAK": 2,
        "Villa": 2,
        "Agfa-Gevaert": 1,
        "FUJIFILM": 1,
        "DIGITEC": 2,
    }
    bits = set()
    for row in rows:
        file = pydicom.dcmread(brixia / "dicom_clean" / row["Filename"])
        assert file.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert file.SOPInstanceUID == file.file_meta.MediaStorageSOPInstanceUID
        assert file.PatientID == file.PatientName == "SYNTHETIC"
        assert file.ImageComments == "synthetic phantom, not a patient"
        assert file.Manufacturer == row["Manufacturer"]
        expected = f"MONOCHROME{polarity[file.Manufacturer]}"
        assert file.PhotometricInterpretation == expected
        assert row["PhotometricInterpretation"] == expected
        assert (file.Modality, file.StudyDate) == (row["Modality"], row["StudyDate"])
        assert str(file.Rows) == row["Rows"] and str(file.Columns) == row["Columns"]
        assert max(file.Rows, file.Columns) == SIZE
        assert file.ViewPosition in ("AP", "PA", "")
        assert file.BitsAllocated == 16 and file.HighBit == file.BitsStored - 1
        assert file.pixel_array.max() < 2**file.BitsStored
        bits.add(file.BitsStored)
    assert len({row["Manufacturer"] for row in rows}) >= 7 and len(bits) >= 3
    assert {row["Modality"] for row in rows} == {"CR", "DX"}


def decode(file: pydicom.FileDataset) -> np.ndarray:
    """Display values 0-1 by the formulas of DICOM PS3.3 C.11.1 and C.11.2.1.2."""
    slope = float(file.get("RescaleSlope", 1))
    x = file.pixel_array * slope + float(file.get("RescaleIntercept", 0))
    if "WindowCenter" in file:
        centre, width = float(file.WindowCenter), float(file.WindowWidth)
        y = np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    else:
        y = x / (2**file.BitsStored - 1)
    return 1 - y if file.PhotometricInterpretation == "MONOCHROME1" else y


def test_both_polarities_decode_to_dark_lungs(brixia, rows):
    seen = set()
    for row in rows:
        file = pydicom.dcmread(brixia / "dicom_clean" / row["Filename"])
        picture = decode(file)
        height, width = picture.shape
        # The backbone lies in the middle column; clear lungs are darker beside it.
        spine = picture[height // 3 : -height // 4, int(width * 0.48) :][:, :4].mean()
        seen.add((file.PhotometricInterpretation, "WindowCenter" in file))
        assert spine > 0.55, row
        if int(row["BrixiaScoreGlobal"]) <= 6:
            lung = picture[height // 3 : height // 2, width // 4 : width // 3]
            assert lung.mean() < spine - 0.1, row
    assert {
        ("MONOCHROME1", False),
        ("MONOCHROME2", False),
        ("MONOCHROME2", True),
    } <= seen


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_every_vendor_stores_the_same_film(vendor):
    rng = np.random.default_rng(0)
    picture = draw_film(draw_chest(rng), [0, 1, 2, 3, 2, 1], rng, 48).picture
    stored = store(picture, vendor).astype(float)
    low, high = vendor.window or (0, 1)
    back = (stored / (2**vendor.bits - 1) - low) / (high - low)
    back = 1 - back if vendor.inverted else back
    np.testing.assert_allclose(back, picture, atol=2 / 2**vendor.bits)


# COVIDGR


def test_covidgr(tmp_path):
    release = write_release("covidgr", tmp_path, 30, size=SIZE)
    assert release == tmp_path / "COVIDGR_1.0"
    data = (release / "severity.csv").read_bytes()
    assert data.startswith(b"Name,Severity\n") and b"\r" not in data
    table = dict(line.split(",") for line in data.decode().splitlines()[1:])
    files = {label: {p.stem for p in (release / label).iterdir()} for label in "NP"}
    assert len(files["N"]) == len(files["P"]) == len(table) == 15
    assert set(table.values()) == {"NORMAL-PCR+", "MILD", "MODERATE", "SEVERE"}
    # As released: one image without a row, one row without an image.
    assert len(files["P"] - set(table)) == len(set(table) - files["P"]) == 1
    assert not files["N"] & set(table)
    sizes = set()
    for path in sorted(release.glob("*/*.jpg")):
        assert path.stem == hashlib.md5(path.read_bytes()).hexdigest()
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels.dtype == np.uint8 and pixels.ndim == 2
        assert max(pixels.shape) <= SIZE
        sizes.add(pixels.shape)
    assert len(sizes) > 5


# COVID-19 Radiography


def test_radiography(tmp_path):
    release = write_release("covid_radiography", tmp_path, 60)
    assert release == tmp_path / "COVID-19_Radiography_Dataset"
    for kind, count in class_counts(60).items():
        book = openpyxl.load_workbook(release / f"{kind}.metadata.xlsx")
        head, *table = book["Sheet1"].iter_rows(values_only=True)
        assert head == ("FILE NAME", "FORMAT", "SIZE", "URL")
        spelled = "NORMAL" if kind == "Normal" else kind
        numbers = range(1, count + 1)
        assert [row[0] for row in table] == [f"{spelled}-{k}" for k in numbers]
        assert {row[1:3] for row in table} == {("PNG", "256*256")}
        assert all("synthetic" in row[3] for row in table)
        names = sorted(f"{kind}-{k}.png" for k in numbers)
        for part, shape in (("images", (299, 299)), ("masks", (256, 256, 3))):
            paths = sorted((release / kind / part).iterdir())
            assert [path.name for path in paths] == names
            for path in paths:
                pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                assert pixels.shape == shape and pixels.dtype == np.uint8
                if part == "masks":
                    assert set(np.unique(pixels)) == {0, 255}


def thumbnails(folder: Path) -> np.ndarray:
    small = [
        cv2.resize(
            cv2.imread(str(p), 0), (32, 32), interpolation=cv2.INTER_AREA
        ).ravel()
        for p in sorted(folder.glob("*.png"))
    ]
    return np.corrcoef(np.array(small, float)) - np.eye(len(small))


def test_radiography_v4_is_flat_and_holds_near_duplicates(tmp_path):
    release = write_release("covid_radiography", tmp_path, 130, size=96, layout="v4")
    covid = thumbnails(release / "COVID")
    assert 1 <= (covid.max(1) > 0.99).sum() < len(covid) / 2
    for kind in ("Lung_Opacity", "Normal"):
        assert thumbnails(release / kind).max() < 0.99  # different patients
    assert not list(release.rglob("masks"))
    # Altered copies, not byte-identical files.
    digests = [hashlib.md5(p.read_bytes()).digest() for p in release.rglob("*.png")]
    assert len(set(digests)) == 130


def test_radiography_classes_keep_their_proportions():
    for n in (4, 5, 9, 60, 21165):
        counts = class_counts(n)
        assert sum(counts.values()) == n and min(counts.values()) >= 1
    assert class_counts(1000) == {
        "COVID": 171,
        "Lung_Opacity": 284,
        "Normal": 481,
        "Viral Pneumonia": 64,
    }
    assert max(abs(class_counts(21165)[k] - COUNTS[k]) for k in COUNTS) <= 2
