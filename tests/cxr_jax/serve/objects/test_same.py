"""A film that is scored again gives the same objects, and another one others."""

import hashlib
import itertools
import json
import os
import pathlib
import subprocess
import sys

from node_results import content, judged, scored
from places import REPOSITORY
from toy_bundle import write_sums

from cxr_jax.bundle import loaded
from cxr_jax.serve import objects, options
from cxr_jax.serve.objects import OBJECTS, make

KINDS = tuple(OBJECTS)
ELSEWHERE = """if True:
    import hashlib, io, json, pathlib, sys
    import pydicom
    from cxr_jax.bundle import loaded
    from cxr_jax.serve import objects, scored
    bundle = loaded.load(sys.argv[1])
    path = pathlib.Path(sys.argv[2])
    film = pydicom.dcmread(path)
    result = scored.score_film(bundle, path, film.SOPInstanceUID, "off")
    for made in objects.make(film, result, bundle, list(objects.OBJECTS)):
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, made, enforce_file_format=True)
        print(hashlib.sha256(buffer.getvalue()).hexdigest())
"""


def test_another_process_on_another_day_makes_the_same_bytes(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    here = [
        hashlib.sha256(content(each)).hexdigest()
        for each in make(film, result, brixia, KINDS)
    ]
    again = [
        hashlib.sha256(content(each)).hexdigest()
        for each in make(film, result, brixia, KINDS)
    ]
    assert here == again
    there = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, brixia.path, tmp_path / "1.dcm"],
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.split()
    assert here == there


def uids(made) -> set[str]:
    return {
        str(element.value)
        for each in made
        for element in each.iterall()
        if element.VR == "UI" and str(element.value).startswith("2.25.")
    }


def test_uids_are_of_film_model_gate_and_kind(brixia, classify, tmp_path):
    first, result = scored(brixia, tmp_path)
    second, other = scored(brixia, tmp_path, 2)
    third, refused = judged(brixia, tmp_path, "refused")
    assert third.SOPInstanceUID == first.SOPInstanceUID
    changed = copied(brixia.path, tmp_path / "changed")
    makers = [
        (first, result, brixia),
        (second, other, brixia),
        (third, refused, brixia),
        (first, result, loaded.load(changed)),
    ]
    found = [uids([each]) for args in makers for each in make(*args, KINDS)]
    for one, two in itertools.combinations(found, 2):
        assert not one & two
    assert all(len(uid) <= 64 for each in found for uid in each)


def test_a_film_whose_patient_was_corrected_gives_other_objects(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    before = [content(each) for each in make(film, result, brixia, KINDS)]
    first = uids(make(film, result, brixia, KINDS))
    film.PatientID = "the right one"
    corrected = make(film, result, brixia, KINDS)
    assert not first & uids(corrected)
    film.PatientID = "ID-1"
    assert [content(each) for each in make(film, result, brixia, KINDS)] == before


def copied(bundle: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The same network under another name: another model."""
    folder.mkdir()
    for path in bundle.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    described = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**described, "name": "other"}))
    write_sums(folder)
    return folder


def test_the_version_of_the_program_is_in_the_uids(brixia, tmp_path, monkeypatch):
    film, result = scored(brixia, tmp_path)
    [before] = make(film, result, brixia, ["sr"])
    monkeypatch.setattr("cxr_jax.__version__", "9.9.9")
    [after] = make(film, result, brixia, ["sr"])
    assert before.SOPInstanceUID != after.SOPInstanceUID


def test_kinds_come_in_the_order_asked_for(brixia, tmp_path):
    film, result = scored(brixia, tmp_path)
    made = make(film, result, brixia, ["pdf", "sr"])
    assert [each.Modality for each in made] == ["DOC", "SR"]
    assert tuple(objects.OBJECTS) == options.KINDS
