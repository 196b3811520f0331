"""The brixia_public builder, from a release to what a reader gets; no TensorFlow."""

import collections
import csv
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from places import SHARED_DATA
from sklearn.model_selection import train_test_split
from stored import counts, examples, needs, patients

from tfds_builders.brixia_public.layout import read_release
from tfds_builders.build import build
from tfds_builders.common.splits import split_of, train_or_val

REAL = SHARED_DATA / "Brixia-score-COVID-19" / "data"
ZONES = "ABCDEF"
METADATA = ["patientid", "finding", "view", "modality", "folder", "filename", "url"]


def table(release):
    """Cells by file name, read by hand."""
    data = (release / "public-annotations.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbffilename,S-A,") and data.endswith(b"\r\n")
    header, *lines = data.decode("utf-8-sig").removesuffix("\r\n").split("\r\n")
    rows = [dict(zip(header.split(","), x.split(","), strict=True)) for x in lines]
    return {row["filename"]: row for row in rows}


def write_table(release, rows):
    lines = [",".join(next(iter(rows))), *(",".join(row.values()) for row in rows)]
    text = "\r\n".join([*lines, ""])
    (release / "public-annotations.csv").write_bytes(text.encode("utf-8-sig"))


def on_disk(release):
    return {path.name: path for path in (release / "public-cohen-subset").iterdir()}


def without_alpha(pixels):
    """Grey [H, W], uint8, of what the phantoms write with an alpha channel."""
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., 0]
    return (pixels // 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def check(builder, release):
    """Every picture that is there, with the scores that its row has of both readers."""
    stored, rows, there = examples(builder), table(release), on_disk(release)
    present = rows.keys() & there.keys()
    assert sorted(stored) == sorted(name.rpartition(".")[0] for name in present)
    for name in present:
        example = stored[name.rpartition(".")[0]][1]
        row = rows[name]
        for reader, suffix in (("S", ""), ("J", "_junior")):
            zones = [int(row[f"{reader}-{zone}"]) for zone in ZONES]
            assert example[f"scores{suffix}"].tolist() == zones
            assert example[f"global_score{suffix}"] == int(row[f"{reader}-Global"])
            assert example[f"global_score{suffix}"] == sum(zones)
        pixels = without_alpha(cv2.imread(str(there[name]), cv2.IMREAD_UNCHANGED))
        assert example["coloured"] == (pixels.ndim == 3)
        if pixels.ndim == 2:
            np.testing.assert_array_equal(example["image"][..., 0], pixels)
    return rows, stored


def test_phantom(release, builder):
    rows, stored = check(builder, release)
    metadata = builder.info.metadata
    assert metadata["release"] == f"of {len(rows)} rows"
    assert metadata["unit"] == "near-duplicate groups"
    found = counts(builder)
    assert found["rows_without_image"] == len(rows) - 60 == 3
    assert found["images_coloured"] == 2
    assert found["images_of_16_bits:16"] == 2
    assert found["images_not_quite_opaque"] == 2
    copies = {frozenset(names) for names in patients(stored).values() if len(names) > 1}
    assert found["near_duplicate_groups"] == len(copies)
    assert len(copies) >= 2
    for split, row in metadata["splits"].items():
        mine = [e for s, e in stored.values() if s == split]
        mean = np.mean([e["global_score"] for e in mine])
        assert row["mean score"] == pytest.approx(mean, abs=0.006)
        mean = np.mean([e["global_score_junior"] for e in mine])
        assert row["junior's"] == pytest.approx(mean, abs=0.006)
    for _, example in stored.values():
        nothing = [example[c] for c in ("finding", "view", "sex", "source")]
        assert nothing == [b""] * 4 and math.isnan(example["age"])


def test_the_authors_split(copy, tmp_path):
    rows = list(table(copy).values())
    # Rows whose pictures are lost take part in the draw.
    lost = [rows[0] | {"filename": f"lost-{k}.jpg"} for k in range(192 - len(rows))]
    rows = rows[:20] + lost + rows[20:]
    write_table(copy, rows)
    names = [row["filename"] for row in rows]
    train, test = train_test_split(names, test_size=0.25, random_state=23)
    assert (len(train), len(test)) == (144, 48)
    config = "brixia_public/256_original_split"
    builder = build(config, copy, tmp_path / "data", quiet=True)
    _, stored = check(builder, copy)
    there = on_disk(copy).keys()
    of_split = collections.defaultdict(set)
    for name, (split, example) in stored.items():
        of_split["test" if split == "test" else "train"].add(name)
        if split != "test":
            assert split == train_or_val(example["patient_id"].decode())
    assert of_split["test"] == {n.rpartition(".")[0] for n in there & set(test)}
    assert of_split["train"] == {n.rpartition(".")[0] for n in there & set(train)}
    text = "patients_across_released_split"
    sides = [{stored[n][0] == "test" for n in g} for g in patients(stored).values()]
    found = counts(builder)
    assert found[text] == sum(len(s) > 1 for s in sides)


def test_the_authors_split_wants_the_whole_table(release, fails):
    words = "63 rows", "192 rows"
    fails(release, *words, config="512_original_split")


def test_patients_of_cohens_table(copy, make):
    names = sorted(table(copy).keys() & on_disk(copy).keys())
    cells = [
        [f"{k // 4}", "COVID-19, ARDS", "AP", "X-ray", "images", name, "https://a.b/c"]
        for k, name in enumerate(names[:40])
    ]
    cells.append([*cells[7][:5], "of-another-collection.jpg", ""])
    cells.append(["99", *cells[8][1:]])  # two patients: believed in neither
    with open(copy / "metadata.csv", "w", newline="") as file:
        csv.writer(file).writerows([METADATA, *cells])
    builder = make(copy)
    _, stored = check(builder, copy)
    metadata = builder.info.metadata
    assert metadata["unit"] == "patients or near-duplicate groups"
    text = "images_without_patient"
    assert metadata["counts"][text] == 60 - 39
    unnamed = Path(names[8]).stem, *(Path(name).stem for name in names[40:])
    assert all(stored[name][1]["finding"] == b"" for name in unnamed)
    splits = collections.defaultdict(set)
    for k, name in enumerate(names[:40]):
        split, example = stored[Path(name).stem]
        if k != 8:
            splits[k // 4].add((split, example["patient_id"]))
            told = [example[c] for c in ("finding", "view", "source")]
            assert told == [b"Pneumonia/Viral/COVID-19", b"AP", b"a.b"]
    assert {len(s) for s in splits.values()} == {1}
    (copy / "metadata.csv").rename(copy.parent / "metadata.csv")
    assert sum(film.about is not None for film in read_release(copy).films) == 39


def test_metadata_of_another_dataset(copy, fails):
    (copy / "metadata.csv").write_text("patient id,source\n1,2\n")
    fails(copy, "metadata.csv", "missing: patientid")


def test_pictures_and_files_that_nobody_lists(copy):
    folder = copy / "public-cohen-subset"
    path = max(folder.glob("*.png"))
    shutil.copy(path, folder / "unlisted.png")
    (folder / "notes.txt").write_text("no picture")
    renamed = path.rename(path.with_suffix(".PNG"))
    _, films, counts = read_release(copy)
    assert counts["images_not_listed"] == 1
    assert counts["files_not_images"] == 1
    assert renamed in {film.path for film in films}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"S-B": "4"}, "senior"),
        ({"J-F": ""}, "junior"),
        ({"J-A": "1.5"}, "junior"),
        ({"S-Global": "19"}, "not 19)"),
        ({"J-Global": "x"}, "J-Global"),
    ],
)
def test_unusable_scores(copy, change, words, fails):
    rows = list(table(copy).values())
    rows[5] |= change
    write_table(copy, rows)
    fails(copy, "public-annotations.csv", rows[5]["filename"], words)


def test_unusable_table(copy, fails):
    path = copy / "public-annotations.csv"
    rows = list(table(copy).values())
    write_table(copy, [*rows, rows[3]])
    fails(copy, "more than once", rows[3]["filename"])
    path.write_text("filename,S-Global\na.jpg,3\n")
    fails(copy, "missing: S-A")
    path.write_bytes(b"")
    fails(copy, "no rows")


def test_half_a_release(copy, tmp_path, fails):
    (copy / "public-cohen-subset").rename(tmp_path / "pictures")
    fails(copy, "public-annotations.csv", "public-cohen-subset")
    (copy / "public-cohen-subset").mkdir()
    fails(copy, "public-cohen-subset: ", "public-annotations.csv")
    (copy / "public-annotations.csv").unlink()
    fails(copy, "public-cohen-subset", "public-annotations.csv")


def manifest():
    """Rows of the real pictures."""
    with open(SHARED_DATA / "MANIFEST.csv", newline="", encoding="utf-8") as file:
        return [r for r in csv.DictReader(file) if r["layout"] == REAL.parent.name]


@needs(REAL)
def test_real_images(tmp_path, make):
    """Cohen's table and patients.csv, both made from the manifest, agree."""
    real = shutil.copytree(REAL, tmp_path / "real" / "data")
    rows = [
        [r["patient"].removeprefix("cohen-"), "COVID-19", "PA", "X-ray", "images"]
        + [r["source_file"], r["url"]]
        for r in manifest()
    ]
    with open(real / "metadata.csv", "w", newline="") as file:
        csv.writer(file).writerows([METADATA, *rows])
    builder = make(real)
    rows, stored = check(builder, real)
    assert len(rows) == len(stored) == len(manifest())
    assert not builder.info.metadata["synthetic"]
    # Between the two readers, over these 91 films; by hand from the table.
    zones = [
        [int(row[f"S-{z}"]) - int(row[f"J-{z}"]) for z in ZONES]
        for row in rows.values()
    ]
    apart = [np.abs(e["scores"] - e["scores_junior"]) for _, e in stored.values()]
    assert np.mean(apart) == pytest.approx(np.abs(zones).mean(), abs=1e-12)
    assert np.mean(apart) == pytest.approx(0.4, abs=0.1)
    known = {Path(r["source_file"]).stem: r["patient"] for r in manifest()}
    assert len(patients(stored)) == len(set(known.values()))
    for name, patient in known.items():
        split, example = stored[name]
        assert example["patient_id"].decode() == patient
        assert split == split_of(patient)
    # The user knows better.
    text = "".join(f'"{name}",user-{patient}\n' for name, patient in known.items())
    (real / "patients.csv").write_text("example_id,patient\n" + text)
    other = make(real, "256")
    assert other.info.metadata["unit"] == "patients"
    renamed = {f"user-{patient}": names for patient, names in patients(stored).items()}
    assert patients(examples(other)) == renamed
