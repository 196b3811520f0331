"""A film gives here what the prepared example of it gives: the same square, to the bit.

The network then sees the same numbers; that it computes the same of them is tested in
`test_of_run`, and from file to figure at the end of this one.
"""

import collections
import csv
import random
import shutil

import numpy as np
import pytest
from PIL import Image
from places import SHARED_DATA
from stored import needs

from cxr_jax.data import builders, decode
from cxr_jax.data.fitting import SQUARES
from cxr_jax.predict import batch, opening, squares
from cxr_jax.predict.recipe import Preprocess
from tfds_builders import DATASETS
from tfds_builders.build import build, make_builder
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.stored import stored_as
from tfds_builders.phantom import write_release

REAL = {
    "brixia": SHARED_DATA / "BrixIA",
    "brixia_public": SHARED_DATA / "Brixia-score-COVID-19",
    "covid_chestxray": SHARED_DATA / "covid-chestxray-dataset",
    "covid_radiography": SHARED_DATA / "COVID-19_Radiography_Dataset",
    "covidgr": SHARED_DATA / "COVIDGR_1.0",
    "image_folder": SHARED_DATA / "chest_xray",
}
CONFIGS = {"covid_radiography": "299"}
# Releases of a thousand films and more, which are nearly all of one form.
LARGE = ("covid_radiography", "image_folder")
OF_A_FORM = 25


def films_of(dataset, release, data_dir):
    """(path of a file, its prepared PNG) of every example, and how they are stored."""
    config = dataset.partition("/")[2]
    prepared = build(dataset, release, data_dir, quiet=True)
    found = make_builder(dataset, data_dir)
    with Workers(0) as found._workers:  # with which a plan finds near-duplicates
        plan = found.plan(found.find_release(release))
    paths = {item.name: item.path for part in plan.parts.values() for item in part}
    pairs = []
    for name in prepared.info.splits:
        split = builders.load(prepared, name)
        for place, example in enumerate(split.table["example_id"]):
            png = split.read(int(split.rows[place]))["image"]
            pairs.append((paths[example], png))
    name = dataset.partition("/")[0]
    return pairs, stored_as(name, config), prepared.info.metadata


def check(dataset, release, data_dir):
    pairs, stored, metadata = films_of(dataset, release, data_dir)
    polarity = metadata.get("polarity") or "header"
    steps = [
        Preprocess(stored.bits, polarity, stored.size, square, 96) for square in SQUARES
    ]
    for path, png in pairs:
        film = squares.read(path, steps[0]).pixels
        for preprocess in steps:
            prepared = decode.image(png, 96, preprocess.square)
            found = squares.squared(film, preprocess)
            assert found.dtype == prepared.dtype
            np.testing.assert_array_equal(found, prepared, str(path))
            unit = squares.square(film, preprocess)
            assert unit.dtype == np.float32 and 0 <= unit.min() <= unit.max() <= 1
    return len(pairs)


def sample(release, folder):
    """A copy with at most OF_A_FORM films of each folder and form (grey, palette, RGB)."""
    kinds = collections.defaultdict(list)
    for path in sorted(p for p in release.rglob("*") if p.is_file()):
        form = str(path)  # a table is alone, so it is copied
        if path.suffix in (".jpeg", ".jpg", ".png"):
            with Image.open(path) as opened:
                form = (path.parent, opened.format, opened.mode)
        kinds[form].append(path)
    draw = random.Random(0)
    for paths in kinds.values():
        for path in draw.sample(paths, min(OF_A_FORM, len(paths))):
            copy = folder / path.relative_to(release)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return folder


@pytest.mark.parametrize("name", DATASETS)
def test_phantoms(name, tmp_path):
    release = write_release(name, tmp_path / "r", 48, 1, 96)
    check(f"{name}/{CONFIGS.get(name, '512')}", release, tmp_path / "data")


@pytest.mark.parametrize("config", ["256", "512_16bit"])
def test_a_folder_of_all_formats(config, tmp_path):
    """Phantoms of the configs of image_folder that shrink, and that keep 16 bits."""
    release = write_release("image_folder", tmp_path / "r", 30, 3, 300)
    check(f"image_folder/{config}", release, tmp_path / "data")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(path)) for name, path in REAL.items()]
)
def test_films_of_the_shared_sample(name, tmp_path):
    """All of them, or of a large release some of every form."""
    release = REAL[name]
    if name in LARGE:
        release = sample(release, tmp_path / release.name)
    dataset = f"{name}/{CONFIGS.get(name, '512')}"
    assert check(dataset, release, tmp_path / "data") > 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(REAL[name])) for name in LARGE]
)
def test_every_film_of_a_large_release(name, tmp_path):
    dataset = f"{name}/{CONFIGS.get(name, '512')}"
    assert check(dataset, REAL[name], tmp_path / "data") > 1000


def test_from_file_to_figure(trained, brixia_data, tmp_path):
    """The rows of --mode=predict are those of the run's own predictions, as texts."""
    release = write_release("brixia", tmp_path / "release", 60, size=96)
    folder = release / "dicom_clean"
    if not folder.is_dir():
        (folder,) = release.glob("*/dicom_clean")
    scorer = opening.scorer(shutil.copytree(trained, tmp_path / "run"), "off")
    batch.predict(scorer, [str(folder)], tmp_path / "out", "off")
    compared = collections.Counter()
    with (tmp_path / "out" / "predictions.csv").open() as file:
        made = {row["example_id"]: row for row in csv.DictReader(file)}
    for role in ("val", "test"):
        with (trained / "predictions" / f"brixia-{role}.csv").open() as file:
            for row in csv.DictReader(file):
                own = made[row["example_id"]]
                keys = [k for k in row if k.startswith(("prob_", "expected_"))]
                assert {k: own[k] for k in keys} == {k: row[k] for k in keys}
                compared[role] += 1
    assert len(compared) == 2 and compared.total() > 10
