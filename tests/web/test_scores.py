"""The page's scores, gate and records are Python's, in a real browser."""

import json

import cv2
import numpy as np
import pytest
from browser import needs_browser
from dicom_writer import make_header, save
from toy_onnx import outputs

from cxr_jax.gate import judge
from cxr_jax.predict import record as record_lib
from cxr_jax.predict import squares
from cxr_jax.predict.recipe import Preprocess, from_json
from tfds_builders.common.film import read_film

pytestmark = needs_browser

PREPROCESS = Preprocess(16, "header", 256, "stretch", 64)


@pytest.fixture(scope="module")
def recipe(brixia_bundle):
    files = [brixia_bundle / name for name in ("bundle.json", "preprocess.json")]
    bundle, preprocess = (json.loads(path.read_text()) for path in files)
    return from_json(files[0], bundle, files[1], preprocess)


@pytest.fixture(scope="module")
def films(phantoms, tmp_path_factory):
    """Films as they are, and altered so that a gate has something to say."""
    folder = tmp_path_factory.mktemp("films")
    film = cv2.imread(str(phantoms[0]), cv2.IMREAD_GRAYSCALE)
    big = cv2.resize(film, (900, 1200), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).integers(0, 256, (300, 200)).astype(np.uint8)
    made = {
        "inverted": 255 - film,
        "turned": np.ascontiguousarray(np.rot90(film)),
        "upside_down": film[::-1].copy(),
        "cropped": film[20:70, 20:60].copy(),
        "blank": np.full_like(film, 90),
        "narrow": film[:, :20].copy(),
        "noise": noise,
        "big": big,
    }
    for name, pixels in made.items():
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    deep = (big.astype(np.uint16) * 16)[:, ::-1].copy()
    save(folder / "dicom.dcm", make_header(deep, 12, PatientOrientation=["R", "F"]))
    return [*phantoms[:6], *sorted(folder.iterdir())]


def score(ask, path, mode="refuse"):
    return ask(path, op="score", path=path.name, exampleId=path.stem, mode=mode)


def expected(recipe, gate, path, mode, probs=None):
    """The record in Python, of its own network or of the page's probabilities."""
    film = read_film(path, 16)
    square = squares.square(film.pixels, PREPROCESS)[..., 0]
    own, features = outputs(square, 6, 4)
    verdict = judge.judge(gate, film.pixels, features.astype(np.float32))
    state = (
        "passed" if verdict.passed else {"refuse": "refused", "warn": "warned"}[mode]
    )
    probs = own if probs is None else probs.reshape(6, 4)
    return record_lib.record(
        recipe,
        path.name,
        path.stem,
        None if state == "refused" else probs,
        gate=state,
        gate_reasons=record_lib.reasons(verdict.findings),
        warnings=film.notes,
    ), verdict


def test_scores_and_gate(ask, recipe, gate, films):
    words = set()
    for path in films:
        found = score(ask, path, "warn")
        made, verdict = expected(recipe, gate, path, "warn")
        names = {each.check: each for each in verdict.findings}
        assert [each["check"] for each in found["verdict"]["findings"]] == [*names]
        for each in found["verdict"]["findings"]:
            mine = names[each["check"]]
            np.testing.assert_allclose(each["score"], mine.score, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(each["limit"], mine.limit, rtol=1e-6)
        assert [*found["record"]] == [*made]
        for key, value in made.items():
            if isinstance(value, str):
                assert key.startswith("set_") or found["record"][key] == value, key
            else:
                np.testing.assert_allclose(found["record"][key], value, atol=1e-3)
        words |= set(names)
    assert {"blank", "size", "view"} <= words


def test_a_refused_film_has_no_figures(ask, recipe, gate, films):
    refused = [path for path in films if path.stem in ("blank", "noise", "narrow")]
    for path in refused:
        found = score(ask, path)
        made, _ = expected(recipe, gate, path, "refuse")
        assert found["record"] == made and made["gate"] == "refused"
        assert "outputs" not in found or found["outputs"] is None


def test_records_of_the_same_probabilities_are_equal_to_the_bit(
    ask, recipe, gate, films
):
    for path in films[:4]:
        found = score(ask, path, "warn")
        made, _ = expected(recipe, gate, path, "warn", found["outputs"]["probs"])
        for key, value in made.items():
            given = found["record"][key]
            assert given == value if isinstance(value, str) else given == float(value)


def test_a_broken_file_is_a_record_with_its_error(ask, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"not a picture")
    found = score(ask, path)["record"]
    assert found["error"].startswith(
        "neither DICOM, PNG nor JPEG: an unknown format -> "
    )
    assert found["gate"] == "" and found["confidence"] == ""
