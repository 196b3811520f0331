"""The command of the best Brixia model, without training; and all of it on phantoms."""

import csv
import io
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from cxr_jax.bundle import loaded
from launch import brixia_films, zone_features
from launch.results import best_brixia
from launch.zone_features import Zones
from tfds_builders.common.errors import InputError
from tfds_builders.phantom import write_release

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
TABLE = """patientid,finding,filename
1,COVID-19,a.jpg
1,COVID-19,b.png
2,Pneumonia,c.jpg
,No Finding,d.jpg
3,COVID-19,e.jpg
"""


def names(text):
    return [row["filename"] for row in csv.DictReader(io.StringIO(text))]


def test_all_films_of_a_scored_patient_are_left_out():
    kept = brixia_films.without_patients_of("\ufeff" + TABLE, {"b", "e"})
    assert names(kept) == ["c.jpg", "d.jpg"]
    assert names(brixia_films.without_patients_of(TABLE, set())) == names(TABLE)


def test_scored_films_are_found_below_a_folder(tmp_path):
    folder = tmp_path / "all" / "Brixia-score-COVID-19"
    write_release("brixia_public", folder, 4)
    assert brixia_films.scored(str(folder)) == folder
    assert brixia_films.scored(str(tmp_path / "all")) == folder
    with pytest.raises(InputError, match="--brixia"):
        brixia_films.scored(str(tmp_path))
    with pytest.raises(InputError, match="--cohen"):
        brixia_films.collection(str(tmp_path))


def drawn_zones(patients=30):
    """Two films a patient, whose scores show in one feature and in no other."""
    rng = np.random.default_rng(0)
    count = 2 * patients
    senior, junior = rng.integers(0, 4, (2, count, 6))
    groups = [
        senior[..., None] + rng.normal(size=(count, 6, 3)),
        rng.normal(size=(count, 6, 5)),
    ]
    return Zones(
        [f"film{k:03d}" for k in range(count)],
        [f"patient{k // 2:03d}" for k in range(count)],
        np.arange(count) // 2 % 5,
        senior,
        junior,
        groups,
        [groups[1]],
    )


def test_the_table_compares_what_never_saw_a_film():
    zones = drawn_zones()
    labels, fold = zones.senior.copy(), zones.fold
    labels[fold == 0] = 3  # what the median of all would know
    zones = zones._replace(senior=labels)
    found = best_brixia.predicted([zones, zones])
    table = best_brixia.measured(found, zones)
    rows = {name: row["mae_zone"]["value"] for name, row in table["rows"].items()}
    constant = [np.median(labels[fold != k], axis=0) for k in fold]
    assert rows["constant median"] == pytest.approx(np.abs(labels - constant).mean())
    assert rows["second reader"] == pytest.approx(np.abs(labels - zones.junior).mean())
    expected = found.probs[0] @ np.arange(4)
    assert rows["the model"] == pytest.approx(np.abs(labels - expected).mean())
    assert rows["the model"] == rows["seed 0"] < rows[best_brixia.PLAIN]
    assert table["metrics"]["mae_zone"]["n"] == 60 and table["patients"] == 30
    json.dumps(table, allow_nan=False)


def test_a_fold_is_predicted_without_its_scores():
    zones = drawn_zones()
    before = best_brixia.predicted([zones]).probs[0]
    own = zones.fold == 2
    changed = zones.senior.copy()
    changed[own] = 3 - changed[own]
    after = best_brixia.predicted([zones._replace(senior=changed)]).probs[0]
    np.testing.assert_array_equal(before[own], after[own])
    assert not np.array_equal(before[~own], after[~own])


def test_films_without_findings_are_trained_on_and_never_tested():
    zones = drawn_zones()
    none = np.zeros((4, 6), int)
    rng = np.random.default_rng(1)
    healthy = Zones(
        [f"healthy{k}" for k in range(4)],
        [f"other{k}" for k in range(4)],
        np.full(4, zone_features.UNTESTED),
        none,
        none,
        [rng.normal(-2, 1, (4, 6, 3)), rng.normal(size=(4, 6, 5))],
        [rng.normal(size=(4, 6, 5))],
    )
    together = zone_features.joined(zones, healthy)
    found = best_brixia.predicted([together])
    assert found.example_ids == zones.example_ids
    np.testing.assert_array_equal(found.labels, zones.senior)
    alone = best_brixia.predicted([zones])
    assert not np.array_equal(found.probs, alone.probs)
    table = best_brixia.measured(found, together)
    assert table["healthy"] == 4 and table["patients"] == 30
    theirs = np.abs(zones.senior - zones.junior).mean()
    assert table["rows"]["second reader"]["mae_zone"]["value"] == pytest.approx(theirs)
    empty = healthy._replace(example_ids=[], patient_ids=[], groups=[], plain=[])
    assert zone_features.joined(zones, empty) is zones


def test_films_for_the_gate_are_frontal_and_of_other_patients(tmp_path):
    brixia, cohen = tmp_path / "Brixia-score-COVID-19", tmp_path / "cohen"
    write_release("brixia_public", brixia, 6)
    write_release("covid_chestxray", cohen, 60, seed=1)
    cohen = next(cohen.rglob("metadata.csv")).parent
    (tmp_path / "NIH-ChestX-ray14" / "images").mkdir(parents=True)
    beside = tmp_path / "NIH-ChestX-ray14" / "images" / "1_000.png"
    beside.write_bytes(b"")
    rows = list(csv.DictReader((cohen / "metadata.csv").open(encoding="utf-8-sig")))
    first = next(r for r in rows if r["view"] == "PA")
    film = next((brixia / "data").rglob("*.jpg"), None) or next(brixia.rglob("*.png"))
    film.rename(film.with_name(first["filename"]))
    found = brixia_films.frontal(brixia, cohen)
    assert beside in found
    views = {r["filename"]: (r["view"], r["patientid"]) for r in rows}
    for path in found:
        if path != beside:
            view, patient = views[path.name]
            assert view.startswith(("PA", "AP")) and patient != first["patientid"]
    assert found == brixia_films.frontal(brixia, cohen)


def random_weights(path):
    """A MobileNetV2 of TensorFlow Lite whose numbers are drawn."""
    rng = np.random.default_rng(0)
    layers = [(3, 3, 32, False), (3, 1, 32, True), (1, 32, 16, False)]
    width = 16
    plan = [(24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)]
    for out, repeats in plan:
        for _ in range(repeats):
            wide = 6 * width
            layers += [(1, width, wide, False), (3, 1, wide, True)]
            layers += [(1, wide, out, False)]
            width = out
    layers += [(1, 320, 1280, False), (1, 1280, 1001, False)]
    arrays = {}
    for k, (size, before, after, is_depthwise) in enumerate(layers):
        before = 3 if k == 0 else before
        shape = (after, size, size, before)
        if is_depthwise:
            shape = (1, size, size, after)
        name = f"{k:02d}_{'dw' if is_depthwise else 'conv'}"
        fan = size * size * before
        arrays[f"{name}_w"] = rng.normal(0, (2 / fan) ** 0.5, shape).astype("f4")
        arrays[f"{name}_b"] = np.zeros(after, np.float32)
    np.savez(path, **arrays)


@pytest.mark.slow
def test_the_command_leaves_a_table_and_a_bundle(tmp_path):
    data = tmp_path / "data"
    write_release("covid_chestxray", data, 300, seed=1)
    write_release("brixia_public", data / "Brixia-score-COVID-19", 60)
    random_weights(tmp_path / "weights.npz")
    out = tmp_path / "best"
    command = [sys.executable, "-m", "launch.results.best_brixia", "--quick"]
    command += [f"--brixia={data}", f"--weights={tmp_path / 'weights.npz'}"]
    done = subprocess.run(
        [*command, f"--out={out}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    table = json.loads((out / "out_of_fold.json").read_text())
    assert table["metrics"]["mae_zone"]["n"] > 40
    bundle = loaded.load(out)
    film = np.random.default_rng(0).integers(0, 255, (300, 280)).astype(np.uint8)
    (record,) = bundle.predict(film, gate="off")
    assert 0 <= record["global_low"] <= record["global_high"] <= 18


def test_without_weights_it_says_what_cannot_be_run(tmp_path):
    with pytest.raises(InputError, match="ImageNet weights"):
        best_brixia.weights_of("")
    with pytest.raises(InputError, match="there is no"):
        best_brixia.weights_of(str(tmp_path / "none.npz"))
