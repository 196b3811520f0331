"""Which films are pre-trained on: none of a patient who is judged later."""

import csv

import cv2
import numpy as np
import pytest

from docs.make import pretraining_films

COHEN = {
    # file: (patient, view)
    "scored.png": ("1", "PA"),
    "of the same patient.png": ("1", "AP"),
    "copy of the scored.jpg": ("2", "PA"),
    "of the copied patient.png": ("2", "AP Supine"),
    "free.png": ("3", "AP"),
    "lateral.png": ("4", "L"),
}
NIH = {"00000001_000.png": "No Finding", "00000002_001.png": "Edema|Pneumonia"}
OTHER = {"00000003_000.png": "Hernia"}
KERMANY = {
    "train/NORMAL/IM-0115-0001.jpeg": "IM-0115",
    "test/NORMAL/NORMAL2-IM-0272-0001.jpeg": "IM-0272",
    "train/PNEUMONIA/person7_bacteria_24.jpeg": "person7",
}


def film(path, seed):
    """Smooth noise, so that a copy that JPEG has changed is still one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(0, 255, (9, 9)).astype(np.float32)
    large = cv2.resize(noise, (96, 96), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), np.clip(large, 0, 255).astype(np.uint8))


def table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    cohen, nih = folder / "covid-chestxray-dataset", folder / "NIH-ChestX-ray14"
    for k, name in enumerate(COHEN):
        film(cohen / "images" / name, 0 if name.startswith("copy") else k)
    table(
        cohen / "metadata.csv",
        [{"patientid": p, "view": v, "filename": n} for n, (p, v) in COHEN.items()],
    )
    film(folder / pretraining_films.SUBSET / "scored.png", 0)
    for k, name in enumerate(NIH | OTHER):
        film(nih / "images" / name, 20 + k)
    table(
        nih / "Data_Entry_2017_v2020.csv",
        [{"Image Index": n, "Finding Labels": f} for n, f in (NIH | OTHER).items()],
    )
    for k, name in enumerate(KERMANY):
        film(folder / "chest_xray" / name, 30 + k)
    hannover = folder / "COVID-19_Radiography_Dataset" / "COVID" / "images"
    film(hannover / "COVID-1.png", 40)
    return folder


def test_films_are_where_their_source_and_label_are(data, tmp_path):
    out = tmp_path / "out"
    count = pretraining_films.main(data, out)
    pool = {path.parent.name: set() for path in out.glob("pool/*/*")}
    for path in out.glob("pool/*/*"):
        pool[path.parent.name].add(path.name)
    assert pool["cohen"] == {"cohen_3_free.png"}
    assert pool["nih"] == {f"nih_{name}" for name in NIH | OTHER}
    assert pool["kermany"] == {
        f"kermany_{patient}_{name.split('/')[-1]}" for name, patient in KERMANY.items()
    }
    assert pool["hannover"] == {"hannover_COVID-1.png"}
    assert count == sum(map(len, pool.values()))
    normal = {path.name for path in out.glob("labelled/NORMAL/*")}
    assert normal == {
        "nih_00000001_000.png",
        "kermany_IM-0115_IM-0115-0001.jpeg",
        "kermany_IM-0272_NORMAL2-IM-0272-0001.jpeg",
    }
    ill = {path.name for path in out.glob("labelled/PNEUMONIA/*")}
    assert ill == {"nih_00000002_001.png", "kermany_person7_person7_bacteria_24.jpeg"}
    assert {path.parent.name for path in out.glob("labelled/*/*")} == {
        "NORMAL",
        "PNEUMONIA",
    }
