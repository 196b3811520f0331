"""A run that was opened before: the same scores and refusals, without its model."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from cxr_jax import trees
from cxr_jax.devices import ahead
from cxr_jax.predict import blueprint, kept_run, of_run
from cxr_jax.runs import best, restore
from cxr_jax.state import TrainState, evaluation_variables
from tfds_builders.common.errors import InputError


@pytest.fixture
def run(trained, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "run")
    (copy / "gate.json").unlink(
        missing_ok=True
    )  # other tests fit the gate of `trained`
    return copy


def refuse(*_):
    raise AssertionError("was traced or compiled")


def squares(count, side):
    return np.random.default_rng(0).random((count, side, side, 1), np.float32)


def test_it_scores_as_the_run_does_and_traces_nothing(run, kept_programs, monkeypatch):
    assert kept_run.scorer(run, "off", refuse) is None
    opened = of_run.open_run(run)
    film = squares(1, opened.recipe.preprocess.side)
    first = opened.network(film)
    monkeypatch.setattr(ahead, "_keep", refuse)
    kept = kept_run.scorer(run, "off", refuse)
    assert kept.recipe == opened.recipe and kept.batch_size == opened.batch_size
    again = kept.network(film)
    assert [each.tobytes() for each in again] == [each.tobytes() for each in first]


def test_what_is_not_kept_is_traced(run, kept_programs):
    opened = of_run.open_run(run)
    films = squares(opened.batch_size + 1, opened.recipe.preprocess.side)
    kept = kept_run.scorer(
        run, "off", lambda config: of_run.functions(restore.built(config))
    )
    for one, other in zip(kept.network(films), opened.network(films), strict=True):
        assert one.tobytes() == other.tobytes()


def test_another_config_or_code_is_opened_as_ever(run, kept_programs, monkeypatch):
    of_run.open_run(run)
    assert kept_run.scorer(run, "off", refuse)
    assert kept_run.scorer(run, "refuse", refuse) is None  # no gate is kept
    with monkeypatch.context() as other:
        other.setattr(ahead, "_code", lambda: "other code")
        assert kept_run.scorer(run, "off", refuse) is None


@pytest.mark.parametrize(
    "damage", ["results", "config", "best", "provenance", "record", "arrays", "nothing"]
)
def test_a_damaged_run_is_refused_in_the_same_words(run, kept_programs, damage):
    of_run.open_run(run)
    checkpoint = run / "checkpoints" / str(best.read(run / "checkpoints")["step"])
    path = {
        "results": run / "results.json",
        "config": run / "config.json",
        "best": run / "checkpoints/best.json",
        "provenance": run / "provenance.json",
        "record": checkpoint / "record/metadata",
        "arrays": checkpoint / "state/manifest.ocdbt",
        "nothing": run / "results.json",
    }[damage]
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :])
    if damage == "nothing":
        path.unlink()
    with pytest.raises(InputError) as expected:
        of_run.open_run(run)
    with pytest.raises(InputError) as found:
        kept_run.scorer(run, "off", refuse)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("averaged", [False, True])
def test_variables_by_name_are_those_of_the_state(averaged):
    params, rest = {"a": {"kernel": 1}, "b": {"bias": 2}}, {"batch_stats": {"a": 3}}
    average = {
        "params": {"a": {"kernel": 4}, "b": {"bias": 5}},
        "batch_stats": {"a": 6},
    }
    state = TrainState(7, params, rest, {"mu": 8}, average if averaged else None)
    found = blueprint.variables(trees.by_name(state))
    assert found == evaluation_variables(state)


def test_it_imports_neither_flax_nor_optax_nor_orbax():
    """They take longer than all else that scoring one film does, but JAX."""
    code = """if True:
        import sys
        import cxr_jax.bundle.loaded, cxr_jax.predict.batch, cxr_jax.predict.kept_run
        print(*{name.split(".")[0] for name in sys.modules})
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    found = set(done.stdout.split())
    assert "jax" in found
    assert not found & {"flax", "optax", "orbax", "scipy", "tensorflow_datasets"}
