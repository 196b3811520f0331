"""Where an evaluation is written, and what it says about the data it is of."""

import json
import pathlib
import shutil

import pytest

from cxr_jax.evaluation import evaluate
from cxr_jax.report import material
from tfds_builders.build import build
from tfds_builders.phantom import write_release

pytestmark = pytest.mark.usefixtures("keep_signals")


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture(scope="module")
def other_data(tmp_path_factory):
    """Another phantom of the same name: other films and other patients."""
    folder = tmp_path_factory.mktemp("other")
    write_release("brixia", folder / "release", 40, size=96, seed=7)
    build("brixia/256", folder / "release", folder / "data", quiet=True)
    return folder / "data"


def files_of(run):
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for folder in ("evaluations", "predictions")
        for path in (run / folder).glob("*")
    }


@pytest.mark.parametrize("dataset", ["brixia/256:test", "brixia:test", ":test"])
def test_other_data_of_the_same_name_lose_nothing(run, other_data, dataset, capsys):
    assert evaluate.evaluate(None, run, dataset) == 0
    first = files_of(run)
    assert evaluate.evaluate(None, run, dataset, str(other_data)) == 0
    both = files_of(run)
    assert first.items() <= both.items() and len(both) == len(first) + 2
    assert "stays" in capsys.readouterr().out
    # The same data again, wherever they lie, take the place of their own.
    moved = shutil.copytree(other_data, run.parent / "moved")
    assert evaluate.evaluate(None, run, dataset, str(moved)) == 0
    assert files_of(run).keys() == both.keys()
    found = {
        name: json.loads(content)["external"]
        for name, content in both.items()
        if name.endswith(".json")
    }
    own = "evaluations/brixia_256-test.json"
    (other,) = found.keys() - {own}
    assert found == {own: False, other: True}
    report = material.read(run)
    assert list(material.elsewhere(report)) == [pathlib.Path(other).stem]


def test_a_run_keeps_its_own_predictions(tmp_path, tiny_config):
    """Its config may name the dataset without a config, as its predictions do."""
    release = write_release("covidgr", tmp_path / "release", 30, size=64)
    build("covidgr", release, tmp_path / "data", quiet=True)
    with tiny_config.unlocked():
        tiny_config.data.dataset = "covidgr"
        tiny_config.data.data_dir = str(tmp_path / "data")
    for asked in ("", "covidgr"):
        *_, name = evaluate.open_split(tiny_config, tmp_path, f"{asked}:test")
        assert name == "covidgr_512-test"


def test_other_classes_of_the_same_data_lose_nothing(run):
    """As `merge` makes them."""
    content = {
        "provenance": {"dataset": {"name": "a/1", "pixels": "b"}},
        "merge": "P=COVID",
    }
    path = evaluate.file_apart(run, "a-test", content)
    assert path.name == "a-test.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    assert evaluate.file_apart(run, "a-test", content) == path
    other = evaluate.file_apart(run, "a-test", {**content, "merge": "P=Normal"})
    assert other.parent == path.parent and other != path
    path.write_text("{")
    assert evaluate.file_apart(run, "a-test", content) != path
