import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from cxr_jax import checkpoint, experiment
from tfds_builders.common.errors import InputError


@pytest.fixture
def exp(tiny_config):
    return experiment.build(tiny_config, train_examples=40)


def meta(best_step, value=1.0):
    return {"best": {"step": best_step, "metric": "val/x", "value": value}}


def at(exp, step):
    return exp.init()._replace(step=np.int32(step))


def test_state_comes_back_bit_for_bit(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    saved = at(exp, 7)
    checkpoint.save(store, saved, meta(7))
    found, found_meta = checkpoint.restore(
        checkpoint.open_store(tmp_path), exp.abstract_state
    )
    jax.tree.map(np.testing.assert_array_equal, found, saved)
    assert found_meta == meta(7)


def test_the_newest_two_and_the_best_are_kept(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    for step, best in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 2)):
        checkpoint.save(store, at(exp, step), meta(best))
    assert sorted(store.manager.all_steps()) == [2, 4, 5]
    # Reopened, as after a crash, the best is still protected.
    store = checkpoint.open_store(tmp_path)
    checkpoint.restore(store, exp.abstract_state)
    checkpoint.save(store, at(exp, 6), meta(2))
    assert sorted(store.manager.all_steps()) == [2, 5, 6]
    assert checkpoint.read_best(tmp_path)["step"] == 2


def test_nothing_there_is_not_an_error_but_best_needs_an_evaluation(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    assert checkpoint.restore(store, exp.abstract_state) is None
    with pytest.raises(InputError, match="no checkpoint was evaluated"):
        checkpoint.read_best(tmp_path)


def test_a_half_written_checkpoint_is_passed_over(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    checkpoint.save(store, at(exp, 1), meta(1))
    half = tmp_path / "2.orbax-checkpoint-tmp"
    half.mkdir()
    (half / "junk").write_text("x")
    state, _ = checkpoint.restore(checkpoint.open_store(tmp_path), exp.abstract_state)
    assert int(state.step) == 1


def test_an_unreadable_checkpoint_is_named(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    checkpoint.save(store, at(exp, 3), meta(3))
    for path in (tmp_path / "3" / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(InputError, match=r"3: the checkpoint cannot be read"):
        checkpoint.restore(checkpoint.open_store(tmp_path), exp.abstract_state)


FULL_DISK = """
import resource, signal, sys, pathlib
import numpy as np
from cxr_jax import checkpoint
from cxr_jax.state import TrainState
from tfds_builders.common.errors import InputError
folder = pathlib.Path(sys.argv[1])
small = TrainState(np.int32(1), {"a": np.zeros(4, np.float32)}, {}, {}, None, np.float32(1))
store = checkpoint.open_store(folder)
checkpoint.save(store, small, {"best": None})
# A limit on the size of a file fails the write as a full disk does.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).normal(size=(1000, 1000)).astype(np.float32)
try:
    checkpoint.save(store, small._replace(step=np.int32(2), params={"a": noise}), {"best": None})
except InputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
"""


def test_a_full_disk_is_explained_and_the_last_checkpoint_stays(tmp_path, environment):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "c")],
        capture_output=True,
        text=True,
        env=environment | {"JAX_PLATFORMS": "cpu"},
        check=False,
        cwd=os.getcwd(),
    )
    assert "the checkpoint cannot be saved" in done.stdout, done.stderr
    assert "the last good checkpoint is step 1" in done.stdout
    store = checkpoint.open_store(tmp_path / "c")
    assert store.manager.latest_step() == 1


def test_best_json_is_for_people_too(tmp_path):
    checkpoint.write_best(tmp_path, meta(4)["best"])
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 4
