"""What holds for every dataset: splits, counts, determinism, faults, its own folder."""

import ast
import pickle
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from stored import counts, examples, patients
from tensorflow_datasets.core.dataset_metadata import valid_tags

import tfds_builders
from tfds_builders import DATASETS
from tfds_builders.build import build, make_builder
from tfds_builders.common import card
from tfds_builders.common.counts import COUNTS, checked, count_of
from tfds_builders.common.splits import fold_of, split_of

HOME = Path(tfds_builders.__file__).parent
SUFFIXES = (".dcm", ".jpg", ".jpeg", ".png")
# A release that names no patients and takes no patients.csv is not among these.
WITH_PATIENTS_CSV = [name for name in DATASETS if name != "brixia"]


@pytest.mark.parametrize("name", DATASETS)
def test_splits_belong_to_patients_and_the_summary_counts_them(name, prepared):
    builder = prepared(name)
    metadata, stored = builder.info.metadata, examples(builder)
    assert metadata["synthetic"]
    assert len(stored) == sum(s.num_examples for s in builder.info.splits.values())
    for images in patients(stored).values():
        assert len({stored[image][0] for image in images}) == 1
    for split, example in stored.values():
        patient = example["patient_id"].decode()
        assert example["fold"] == fold_of(patient)
        if name != "brixia":  # which has a test set of its own
            assert split == split_of(patient)
        assert example["image"].dtype == builder.info.features["image"].np_dtype
    label, unit = dict(builder.info.features).get("label"), metadata["unit"]
    for split, row in metadata["splits"].items():
        mine = [e for s, e in stored.values() if s == split]
        assert row["images"] == len(mine)
        assert row[unit] == len({e["patient_id"] for e in mine})
        for number, of_label in enumerate(label.names if label else ()):
            these = [e for e in mine if e["label"] == number]
            assert row[of_label] == len(these)
            if name.startswith("covidx"):
                sources = {e["source"] for e in these} - {b""}
                assert row[f"sources of {of_label}"] == len(sources)


@pytest.mark.parametrize("name", DATASETS)
def test_counts_are_of_the_table_and_of_what_is_stored(name, prepared):
    builder = prepared(name)
    metadata, stored = builder.info.metadata, examples(builder)
    found = checked(metadata["counts"])
    checked(metadata["warnings"])
    assert found["files_unreadable"] == found["files_not_images"] == 0
    if "coloured" in builder.info.features:
        coloured = sum(int(e["coloured"]) for _, e in stored.values())
        assert counts(builder)["images_coloured"] == coloured
    if metadata["unit"] == "near-duplicate groups":
        sizes = [len(images) for images in patients(stored).values()]
        assert found["near_duplicate_groups"] == sum(n > 1 for n in sizes)
        assert found["near_duplicate_images"] == sum(n for n in sizes if n > 1)


@pytest.mark.parametrize("name", DATASETS)
def test_a_second_build_has_the_same_bytes(name, prepared, phantom, make):
    one = prepared(name)
    two = make(phantom(name), name=name)
    records = sorted(p.name for p in one.data_path.iterdir() if "record" in p.name)
    assert records
    for record in [*records, "metadata.json", "features.json"]:
        assert (one.data_path / record).read_bytes() == (
            two.data_path / record
        ).read_bytes()


@pytest.mark.parametrize("name", DATASETS)
def test_another_process_reads_the_same(name, phantom, tmp_path):
    """As `pickle` carries the items and their reader there."""
    builder = make_builder(name, tmp_path)
    builder._workers = tfds_builders.common.build.parallel.Workers()
    with builder._workers:
        plan = builder.plan(phantom(name))
    for item in [part[0] for part in plan.parts.values() if part]:
        here = plan.read(item)
        read, other = pickle.loads(pickle.dumps((plan.read, item)))
        there = read(other)
        assert there[1:] == here[1:]
        for feature, value in here.features.items():
            np.testing.assert_array_equal(there.features[feature], value)


def path_of(release: Path, name: str, example) -> Path:
    """The image of an example in its release."""
    text = example["file" if name == "image_folder" else "example_id"].decode()
    stem = Path(text).stem if name == "image_folder" else text.rsplit("/", 1)[-1]
    found = [p for p in release.rglob("*") if p.suffix.lower() in SUFFIXES]
    return min(p for p in found if stem in (p.stem, p.name) and "masks" not in p.parts)


@pytest.mark.parametrize("name", DATASETS)
def test_a_damaged_image_is_named_or_left_out(
    name, prepared, phantom, make, fails, tmp_path
):
    release = shutil.copytree(phantom(name), tmp_path / "copy" / phantom(name).name)
    # The last of the last split, when all others have been written.
    example = list(prepared(name).as_data_source("test"))[-1]
    path = path_of(release, name, example)
    path.write_bytes(path.read_bytes()[:-100])
    assert path.name in fails(release, name=name).found
    left = make(release, name=name, max_rejected=1)
    kept = examples(prepared(name)).keys() - {example["example_id"].decode()}
    assert examples(left).keys() == kept
    assert counts(left)["files_unreadable"] == 1
    rejected = (left.data_path / "rejected.csv").read_text().splitlines()
    assert rejected[1].startswith(path.relative_to(release).as_posix())


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_holds_no_release(name, fails, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "release.zip").write_bytes(b"PK")
    error = fails(tmp_path / "empty", name=name)
    assert "release.zip" in error.found
    assert "Unpack release.zip" in error.hint
    assert f"tfds_builders/{name}/README.md" in error.hint
    assert fails(tmp_path / "none", name=name).where == str(tmp_path / "none")


@pytest.mark.parametrize("name", WITH_PATIENTS_CSV)
def test_patients_of_the_user(name, prepared, phantom, make, fails, tmp_path):
    release = shutil.copytree(phantom(name), tmp_path / "copy" / phantom(name).name)
    stored = examples(prepared(name))
    groups = patients(stored)
    # Whole groups, so that nothing else joins them.
    one, two = sorted(groups)[:2]
    listed = groups[one] | groups[two]
    rows = "".join(f'"{image}",a person\n' for image in sorted(listed))
    (release / "patients.csv").write_text(f"example_id,patient\n{rows}")
    builder = make(release, name=name)
    found = examples(builder)
    assert patients(found)["a person"] == listed
    assert {found[image][0] for image in listed} == {split_of("a person")}
    for image in stored.keys() - listed:
        assert found[image][1]["patient_id"] == stored[image][1]["patient_id"]
    (release / "patients.csv").write_text("example_id,patient\nnobody,1\n")
    error = fails(release, "nobody", name=name)
    assert error.where == str(release / "patients.csv")


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_folder_is_whole(name, tmp_path):
    builder = make_builder(name, tmp_path)
    metadata = builder.get_metadata()
    assert metadata.tags
    assert set(metadata.tags) <= set(valid_tags())
    readme = metadata.description
    assert "## Getting the data" in readme  # messages point there
    assert "## Licence" in readme
    assert "## What patient_id is" in readme
    assert 'builder.info.metadata["unit"]' in readme
    for feature in builder.info.features:
        assert f"`{feature}`" in readme
    for config in builder.builder_configs:
        assert f"`{config}`" in readme
    assert str(builder.version) in builder.RELEASE_NOTES
    common = {"image", "example_id", "patient_id", "fold"}
    assert common <= set(builder.info.features)
    assert builder.info.features["image"].shape == (None, None, 1)


@pytest.mark.parametrize("name", DATASETS)
def test_card_has_every_field_and_the_citations_of_the_bib_file(name):
    found = card.load(name)
    raw = tomllib.loads((HOME / name / "card.toml").read_text())
    assert raw.keys() == set(card.Card._fields)
    for field, value in found._asdict().items():
        if field in ("cite", "limitations"):
            assert all(isinstance(text, str) and text for text in value)
        else:
            assert value == value.strip() and "\n" not in value
    assert found.title and found.summary and found.split and found.limitations
    bib = (HOME / name / "CITATIONS.bib").read_text()
    names = re.findall(r"^  (doi|eprint) = \{(.*)\}", bib, re.MULTILINE)
    assert len(names) == len(re.findall("^@", bib, re.MULTILINE))
    assert found.cite == tuple(f"{k.replace('eprint', 'arXiv')} {v}" for k, v in names)
    steps = make_builder(name).MANUAL_DOWNLOAD_INSTRUCTIONS
    if found.url and name != "covidx_ct" and name != "covidx_cxr":
        assert found.url in steps


def test_every_count_is_made_somewhere():
    """Counts that builders cannot make are not in the table; the reverse is an error."""
    made = set()
    for path in HOME.rglob("*.py"):
        if path.name != "counts.py":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    made.add(node.value.partition(":")[0])
    made |= {f"images_of_test_subjects_{part}" for part in ("kept", "left_out")}
    assert COUNTS.keys() <= made


@pytest.mark.parametrize(
    "key", ["no such count", "images_coloured:blue", "split_leaks", "split_leak:test"]
)
def test_unknown_counts_are_an_error(key):
    with pytest.raises(KeyError):
        checked({key: 1})


def test_words_of_counts():
    assert count_of("files_unreadable") == COUNTS["files_unreadable"]
    kind, text = count_of("finding_without_class:Trauma: rib")
    assert kind == "left_out" and text.endswith(" Trauma: rib")
    # Of a dataset that an earlier version prepared.
    assert count_of("files that are no pictures, skipped").kind == "noted"
    assert {count.kind for count in COUNTS.values()} == {
        "left_out",
        "repaired",
        "noted",
    }


def test_a_count_that_a_builder_makes_up_ends_the_build(phantom, tmp_path, monkeypatch):
    from tfds_builders.covidgr import covidgr_dataset_builder as covidgr

    read = covidgr._read
    monkeypatch.setattr(
        covidgr, "_read", lambda *a, **k: read(*a, **k)._replace(notes=("made up",))
    )
    with pytest.raises(KeyError, match="made up"):
        build("covidgr", phantom("covidgr"), tmp_path, quiet=True)
