"""A bundle is opened as it was made, or refused by the name of what was changed."""

import base64
import json
import subprocess
import sys

import numpy as np
import pytest
from bundles import copied, resealed
from places import REPOSITORY

from cxr_jax.bundle import load
from tfds_builders.common.errors import InputError

pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")

# What a bundle may import, and what none of its modules may.
ALONE = """
import sys
ALLOWED = {"cxr_jax", "tfds_builders", "numpy", "cv2", "pydicom", "onnxruntime"}
WITH_THEM = {"flatbuffers", "google", "packaging", "coloredlogs", "humanfriendly"}
class Hook:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED | WITH_THEM or top in sys.stdlib_module_names:
            return None
        raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Hook())
import json
from cxr_jax.bundle import load
bundle = load(sys.argv[1])
rows = bundle.predict([sys.argv[2]], gate="warn")
print(json.dumps([{k: str(v) for k, v in row.items()} for row in rows]))
"""


def test_it_scores_without_jax(bundle_of_trained, tmp_path):
    path = bundle_of_trained / "golden" / "0.png"
    (row,) = load(bundle_of_trained).predict([path], gate="warn")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(bundle_of_trained), str(path)],
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": "/root"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{k: str(v) for k, v in row.items()}]


@pytest.mark.parametrize(
    "name", ["model.onnx", "bundle.json", "gate.json", "web/index.html", "card.md"]
)
def test_a_changed_file_is_refused_by_name(bundle_of_trained, tmp_path, name):
    bundle = copied(bundle_of_trained, tmp_path)
    path = bundle / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InputError, match=f"{name}.*changed"):
        load(bundle)


def test_a_missing_file_is_refused_by_name(bundle_of_trained, tmp_path):
    bundle = copied(bundle_of_trained, tmp_path)
    (bundle / "preprocess.json").unlink()
    with pytest.raises(InputError, match=r"preprocess\.json.*missing"):
        load(bundle)


@pytest.mark.parametrize(
    "line", ["../secret", "/etc/passwd", "a/../../b", "no digest", "model.onnx"]
)
def test_a_list_that_points_elsewhere_is_refused(bundle_of_trained, tmp_path, line):
    bundle = copied(bundle_of_trained, tmp_path)
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64 if line != 'no digest' else 'x'}  {line}\n")
    with pytest.raises(InputError, match="SHA256SUMS: line"):
        load(bundle)


def test_what_is_no_bundle_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="it is not a bundle"):
            load(path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 2}, "format 2"),
        ({"task": "segment"}, "task"),
        ({"classes": ["0", "1"]}, "classes"),
        ({"decision": None}, "decision"),
        ({"name": 3}, "name"),
    ],
)
def test_contents_that_do_not_fit_are_refused(
    bundle_of_trained, tmp_path, change, expected
):
    bundle = copied(bundle_of_trained, tmp_path)
    content = json.loads((bundle / "bundle.json").read_text()) | change
    (bundle / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=expected):
        load(resealed(bundle))


def test_a_model_of_another_size_is_refused(bundle_of_trained, tmp_path):
    bundle = copied(bundle_of_trained, tmp_path)
    content = json.loads((bundle / "preprocess.json").read_text())
    content["steps"][-2]["side"] = 64
    (bundle / "preprocess.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="where the bundle says 64"):
        load(resealed(bundle))


def test_a_bundle_without_a_gate_says_so(bundle_of_trained, tmp_path):
    bundle = copied(bundle_of_trained, tmp_path)
    (bundle / "gate.json").unlink()
    opened = load(resealed(bundle))
    film = np.random.default_rng(0).integers(0, 255, (300, 280)).astype(np.uint8)
    with pytest.raises(InputError, match="without a gate"):
        opened.predict(film)
    (row,) = opened.predict(film, gate="off")
    assert row["gate"] == "off" and 0 <= row["expected_A"] <= 3


def test_an_unknown_variant_names_those_there_are(bundle_of_trained):
    with pytest.raises(InputError, match="float32, float16, int8"):
        load(bundle_of_trained, variant="int4")


def test_a_damaged_file_is_a_row_with_its_error(bundle_of_trained, tmp_path):
    path = tmp_path / "film.png"
    path.write_bytes(b"not a picture")
    good = bundle_of_trained / "golden" / "1.png"
    rows = load(bundle_of_trained).predict([path, good], gate="off")
    assert rows[0]["error"] and rows[0]["expected_A"] == ""
    assert not rows[1]["error"] and rows[1]["expected_A"] != ""


def test_a_model_that_asks_for_a_huge_array_is_named(bundle_of_trained, tmp_path):
    """4e12 bytes of zeros beside the probabilities: an error, not a traceback."""
    onnx = pytest.importorskip("onnx")
    bundle = copied(bundle_of_trained, tmp_path)
    model = onnx.load(str(bundle / "model.onnx"))
    (last,) = [node for node in model.graph.node if "probs" in node.output]
    last.output[list(last.output).index("probs")] = "before"
    shape = np.array([10**6, 10**6], np.int64)
    model.graph.initializer.append(onnx.numpy_helper.from_array(shape, "shape"))
    for op, given, made in (
        ("ConstantOfShape", ["shape"], "zeros"),
        ("ReduceMax", ["zeros"], "highest"),
        ("Add", ["before", "highest"], "probs"),
    ):
        kept = {"keepdims": 0} if op == "ReduceMax" else {}
        model.graph.node.append(onnx.helper.make_node(op, given, [made], **kept))
    onnx.save(model, str(bundle / "model.onnx"))
    film = np.full((80, 70), 9, np.uint8)
    with pytest.raises(InputError, match=r"model\.onnx.*cannot compute"):
        load(resealed(bundle)).predict(film, gate="off")


def test_one_film_or_several_in_any_container(bundle_of_trained):
    bundle = load(bundle_of_trained)
    paths = [bundle_of_trained / "golden" / f"{k}.png" for k in (1, 0)]
    films = np.random.default_rng(0).integers(0, 256, (2, 90, 80)).astype(np.uint8)
    several = bundle.predict(paths, gate="off")
    assert [row["path"] for row in several] == [str(path) for path in paths]
    assert bundle.predict(iter(paths), gate="off") == several
    assert [bundle.predict(str(p), gate="off")[0]["global"] for p in paths] == [
        row["global"] for row in several
    ]
    stacked = bundle.predict(films, gate="off")
    assert stacked == bundle.predict(list(films), gate="off")
    (alone,) = bundle.predict(films[1], gate="off")
    assert alone["global"] == stacked[1]["global"] != stacked[0]["global"]
    for nothing in (None, 3):
        with pytest.raises(InputError, match="films: is a"):
            bundle.predict(nothing)


def test_the_gate_of_another_network_is_refused(bundle_of_trained, tmp_path):
    bundle = copied(bundle_of_trained, tmp_path)
    content = json.loads((bundle / "gate.json").read_text())
    away = content["unlike_training"]
    (features,) = away["mean"]["shape"]
    one = base64.b64encode(np.ones(1, "<f4").tobytes()).decode()
    away["mean"] = away["variances"] = {"shape": [1], "float32": one}
    away["basis"] = {"shape": [1, 1], "float32": one}
    (bundle / "gate.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"1 features.* gives {features}"):
        load(resealed(bundle))
