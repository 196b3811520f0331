"""--mode=export of a small run: what is in the bundle, and when there is none."""

import csv
import json
import os
import shutil
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.bundle import load
from cxr_jax.bundle.network import Network
from cxr_jax.export import bundling, tracing, verification
from cxr_jax.predict import of_run, squares
from tfds_builders.common.errors import InputError

pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")


@pytest.fixture(scope="module")
def opened(bundle_of_trained, trained):
    return of_run.open_run(trained)


@pytest.fixture(scope="module")
def noise(opened):
    side = opened.recipe.preprocess.side
    return np.random.default_rng(1).random((5, side, side, 1), np.float32)


def test_sha256sum_finds_every_file_as_it_was_written(bundle_of_trained):
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"],
        cwd=bundle_of_trained,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = {line.rpartition(": ")[0] for line in done.stdout.splitlines()}
    there = {
        path.relative_to(bundle_of_trained).as_posix()
        for path in bundle_of_trained.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert listed == there
    assert {"card.md", "card.html", "gate.json", "web/index.html", "LICENSE"} <= there


def test_it_is_the_run_within_the_bound(bundle_of_trained, opened, noise):
    """Of films that export did not see, by the run's own program."""
    found = load(bundle_of_trained).scorer.network(noise)
    wanted = opened.network(noise)
    for gap in verification.differences(found, wanted).values():
        assert gap <= 1e-4
    assert found.heatmap.shape[1:] == wanted.heatmap.shape[1:]


def test_golden_films_are_scored_as_written(bundle_of_trained):
    golden = json.loads((bundle_of_trained / "golden/golden.json").read_text())
    paths = [bundle_of_trained / "golden" / each["file"] for each in golden]
    assert len(paths) == 8
    rows = load(bundle_of_trained).predict(paths, gate="warn")
    for row, each in zip(rows, golden, strict=True):
        assert row["gate"] == each["record"]["gate"]
        for key, value in each["record"].items():
            if isinstance(value, float):
                assert float(row[key]) == pytest.approx(value, abs=1e-6)
        found = [[row[f"prob_{z}{k}"] for k in range(4)] for z in "ABCDEF"]
        np.testing.assert_allclose(found, each["probs"], atol=1e-6)


def test_smaller_variants_are_smaller_and_nearly_the_same(bundle_of_trained, noise):
    onnx = pytest.importorskip("onnx")
    made = json.loads((bundle_of_trained / "verification.json").read_text())
    assert made["films"] == 64 and max(made["differences"].values()) <= 1e-4
    sizes = {name: row["bytes"] for name, row in made["variants"].items()}
    assert sizes["float16"] < 0.8 * sizes["float32"]
    int8 = onnx.load(bundle_of_trained / "model_int8.onnx").graph.initializer
    kernels = [each for each in int8 if len(each.dims) == 4]
    assert kernels and {each.data_type for each in kernels} == {onnx.TensorProto.INT8}
    whole = load(bundle_of_trained).scorer.network(noise).probs
    for variant, most in {"float16": 5e-3, "int8": 0.1}.items():
        probs = load(bundle_of_trained, variant=variant).scorer.network(noise).probs
        assert np.abs(probs - whole).max() < most


def test_a_variant_that_is_another_model_is_left_out(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(bundling, "MOST_LOST", 0.0)
    bundling.write(opened, None, tmp_path / "bundle")
    made = json.loads((tmp_path / "bundle/verification.json").read_text())
    assert list(made["variants"]) == ["float32"]
    assert made["left_out"].keys() == {"float16", "int8"}
    assert not (tmp_path / "bundle/model_int8.onnx").exists()
    with pytest.raises(InputError, match="has no variant 'int8'"):
        load(tmp_path / "bundle", variant="int8")


def test_the_metric_of_float32_is_that_of_the_run(bundle_of_trained, trained):
    made = json.loads((bundle_of_trained / "verification.json").read_text())
    results = json.loads((trained / "results.json").read_text())
    row = made["variants"]["float32"]
    wanted = results["metrics"]["test/mae_zone"]
    assert row["films"] == wanted["n"]
    assert row["mae_zone"] == pytest.approx(wanted["value"], abs=1e-4)


def test_weights_are_the_constants_of_the_graph(bundle_of_trained):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(bundle_of_trained / "model.onnx")
    assert not model.graph.value_info
    with np.load(bundle_of_trained / "weights.npz", allow_pickle=False) as weights:
        for each in model.graph.initializer:
            array = onnx.numpy_helper.to_array(each)
            np.testing.assert_array_equal(weights[each.name], array)


def test_records_are_the_predictions_of_the_run(bundle_of_trained, trained, opened):
    """On the films of test as they were built, to the bound of the export."""
    import tensorflow_datasets as tfds

    config = opened.exp.config.data
    source = tfds.data_source(config.dataset, data_dir=config.data_dir, split="test")
    films = {row["example_id"].decode(): row["image"][..., 0] for row in source}
    with (trained / "predictions" / "brixia-test.csv").open() as file:
        written = {row["example_id"]: row for row in csv.DictReader(file)}
    found = load(bundle_of_trained).predict(list(films.values()), gate="off")
    for name, row in zip(films, found, strict=True):
        for key in ("expected_A", "expected_F", "prob_B2"):
            assert float(row[key]) == pytest.approx(float(written[name][key]), abs=1e-4)


def test_an_existing_folder_is_left_alone(bundle_of_trained, trained):
    before = (bundle_of_trained / "SHA256SUMS").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        bundling.export(trained, bundle_of_trained, with_gate=False)
    assert (bundle_of_trained / "SHA256SUMS").read_bytes() == before


def test_what_a_killed_export_left_is_removed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    left = tmp_path / f".bundle.{process.pid}.tmp"
    at_work, other = tmp_path / f".bundle.{os.getpid()}.tmp", tmp_path / ".bundle.x.tmp"
    for folder in (left, at_work, other):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"half")
    bundling._remove_left(tmp_path / "bundle")
    assert sorted(tmp_path.iterdir()) == sorted([at_work, other])


def test_a_bundle_is_no_run(bundle_of_trained, tmp_path):
    with pytest.raises(InputError, match="bundle already"):
        bundling.export(bundle_of_trained, tmp_path / "bundle", with_gate=False)


def test_a_model_that_differs_is_not_exported(trained, tmp_path, monkeypatch, opened):
    """A constant of the graph is changed behind its back."""
    whole = tracing.to_graph

    def wrong(*arguments):
        graph = whole(*arguments)
        name = next(n.inputs[1] for n in graph.nodes if n.op == "Conv")
        graph.constants[name] = graph.constants[name] * np.float32(1.05)
        return graph

    monkeypatch.setattr(tracing, "to_graph", wrong)
    with pytest.raises(InputError, match="differs from the run on 64 films.* by "):
        bundling.export(trained, tmp_path / "bundle", with_gate=False)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_names_the_extra(trained, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"(?s)onnx.*cxr_jax\[export\]"):
        bundling.export(trained, tmp_path / "bundle", with_gate=False)
    assert not list(tmp_path.iterdir())


def test_phantoms_take_the_place_of_data_that_are_gone(
    trained, tmp_path, opened, bundle_of_trained
):
    from cxr_jax.export import films

    config = opened.exp.config.copy_and_resolve_references().unlock()
    config.data.data_dir = str(tmp_path / "gone")
    moved = opened._replace(exp=opened.exp._replace(config=config))
    found = films.of_run(moved)
    assert found.source == "phantoms" and not len(found.compared)
    side = opened.recipe.preprocess.side
    assert found.verified.shape == (64, side, side, 1)
    assert found.verified.std() > 0.1 and not len(found.labels)
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)


def test_a_run_in_bfloat16_is_exported_in_float32(opened):
    config = opened.exp.config.copy_and_resolve_references().unlock()
    config.model.dtype = "bfloat16"
    model = opened.exp.model.clone(dtype=jnp.bfloat16)
    exp = opened.exp._replace(config=config.lock(), model=model)
    half = opened._replace(exp=exp)
    graph = tracing.to_graph(half, tracing.in_float32(half))
    assert "Cast" not in graph.count()
    assert {str(a.dtype) for a in graph.constants.values()} <= {"float32", "int64"}


def test_the_card_says_what_it_is_not(bundle_of_trained):
    text = (bundle_of_trained / "card.md").read_text()
    page = (bundle_of_trained / "card.html").read_text()
    for each in (text, page):
        assert "not a medical device" in each and "SYNTHETIC" in each
        assert "Zone MAE" in each
    assert "<script" not in page and "http" not in page


def test_squares_are_of_the_size_that_the_graph_takes(bundle_of_trained, opened):
    model = (bundle_of_trained / "model.onnx").read_bytes()
    side = Network(model, "model.onnx").side
    film = np.zeros((300, 200), np.uint16)
    assert squares.square(film, opened.recipe.preprocess).shape == (side, side, 1)
