import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from cxr_jax import experiment
from cxr_jax.devices import sharding
from cxr_jax.runs import best, checkpoint, digest, restore
from cxr_jax.state import TrainState
from tfds_builders.common.errors import InputError


@pytest.fixture
def exp(tiny_config):
    return experiment.build(tiny_config, train_examples=40)


def meta(best_step, value=1.0):
    best = {"step": best_step, "metric": "val/x", "value": value}
    return {"best": best if best_step else None}


def at(exp, step):
    return exp.init()._replace(step=np.int32(step))


def small(step, **params):
    """A state that needs no model: cheap to save, and known in closed form."""
    state = TrainState(*[{} for _ in TrainState._fields])
    params = params or {"w": np.arange(5, dtype=np.float32) + step}
    return state._replace(step=np.int32(step), params=params)


def abstract(state):
    everywhere = sharding.replicated(sharding.make_mesh(jax.device_count()))
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), state
    )


def saved(folder, *steps, best=()):
    """An open store in which small states were saved; best: that of each step."""
    store = checkpoint.open_store(folder)
    for step, best_step in zip(steps, best or (None,) * len(steps), strict=True):
        checkpoint.save(store, small(step), meta(best_step))
    checkpoint.finish(store)
    return store


def restore_small(folder, **settings):
    store = checkpoint.open_store(folder, **settings)
    return checkpoint.restore(store, abstract(small(0)))


def steps_in(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def damage(folder):
    """The values are gone, as after a power cut."""
    for path in (folder / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


def test_state_comes_back_bit_for_bit(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    state = at(exp, 7)
    checkpoint.save(store, state, meta(7))
    checkpoint.finish(store)
    found, found_meta = checkpoint.restore(
        checkpoint.open_store(tmp_path), exp.abstract_state
    )
    assert jax.tree.structure(found) == jax.tree.structure(exp.abstract_state)
    jax.tree.map(np.testing.assert_array_equal, found, state)

    def same_kind(leaf, asked):
        assert leaf.dtype == asked.dtype
        assert leaf.sharding == asked.sharding

    jax.tree.map(same_kind, found, exp.abstract_state)
    assert found_meta == meta(7)


def test_what_a_model_is_evaluated_with_comes_back_alone(exp, tmp_path):
    store, state = checkpoint.open_store(tmp_path), at(exp, 7)
    checkpoint.save(store, state, meta(7))
    checkpoint.finish(store)
    found, found_meta = restore.variables(tmp_path, exp.abstract_state, 7)
    assert found.opt_state is None and state.opt_state is not None
    jax.tree.map(np.testing.assert_array_equal, found, state._replace(opt_state=None))
    asked = exp.abstract_state._replace(opt_state=None)
    jax.tree.map(lambda leaf, a: leaf.sharding == a.sharding or 1 / 0, found, asked)
    assert found_meta == meta(7)


def test_types_and_meta_come_back_exactly(tmp_path):
    params = {
        "half": np.array([1.5, -np.inf, np.nan], jax.numpy.bfloat16),
        "scalar": np.float32(np.pi),
        "whole": np.arange(6, dtype=np.uint16).reshape(2, 3).T,  # in Fortran order
        "flags": np.array([True, False]),
    }
    state = small(1, **params)
    store = checkpoint.open_store(tmp_path)
    memory = meta(1, value=0.1) | {"more": [1, None, "\u00e4", -0.0, 1e-310]}
    checkpoint.save(store, state, memory)
    memory["more"].append("changed after the call")
    checkpoint.finish(store)
    found, found_meta = checkpoint.restore(store, abstract(state))
    for name, value in params.items():
        assert found.params[name].dtype == value.dtype
        assert np.asarray(found.params[name]).tobytes() == value.tobytes()
    assert found_meta["more"] == [1, None, "\u00e4", -0.0, 1e-310]
    assert str(found_meta["more"][3]) == "-0.0"


def test_the_newest_two_and_the_best_are_kept(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    for step, top in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 2)):
        checkpoint.save(store, at(exp, step), meta(top))
    checkpoint.finish(store)
    assert steps_in(tmp_path) == [2, 4, 5]
    # Reopened, as after a crash, the best is still protected.
    store = checkpoint.open_store(tmp_path)
    checkpoint.restore(store, exp.abstract_state)
    checkpoint.save(store, at(exp, 6), meta(2))
    checkpoint.finish(store)
    assert steps_in(tmp_path) == [2, 5, 6]
    assert best.read(tmp_path)["step"] == 2


def test_what_the_last_but_one_calls_the_best_is_kept_too(tmp_path):
    saved(tmp_path, 1, 2, 3, best=(1, 1, 3))
    assert steps_in(tmp_path) == [1, 2, 3]
    assert best.read(tmp_path)["step"] == 3
    damage(tmp_path / "3")
    state, _ = restore_small(tmp_path)
    assert int(state.step) == 2
    assert best.read(tmp_path)["step"] == 1


def test_saving_a_step_twice_does_nothing(tmp_path):
    store = checkpoint.open_store(tmp_path)
    other = small(1, w=np.zeros(5, np.float32))
    gate = hold(store)
    checkpoint.save(store, small(1), meta(None))
    checkpoint.save(store, other, meta(None))  # while the first is being written
    gate.set()
    checkpoint.finish(store)
    checkpoint.save(store, other, meta(None))  # and afterwards
    checkpoint.finish(store)
    state, _ = checkpoint.restore(store, abstract(other))
    np.testing.assert_array_equal(state.params["w"], np.arange(1, 6))


def hold(store):
    """Nothing is written until the returned event is set."""
    gate = threading.Event()
    store.worker.submit(gate.wait, 60)
    return gate


def test_saving_does_not_wait_and_best_json_names_only_what_is_on_disk(tmp_path):
    store = saved(tmp_path, 1, best=(1,))
    gate = hold(store)
    checkpoint.save(store, small(2), meta(2))  # returns though nothing can be written
    assert steps_in(tmp_path) == [1]
    assert best.read(tmp_path)["step"] == 1
    gate.set()
    assert checkpoint.steps(store) == [1, 2]
    assert steps_in(tmp_path) == [1, 2]
    assert best.read(tmp_path)["step"] == 2


def test_what_happens_to_the_memory_after_save_does_not_reach_the_checkpoint(tmp_path):
    store = checkpoint.open_store(tmp_path)
    state = small(1, w=np.arange(1000, dtype=np.float32))
    gate = hold(store)
    checkpoint.save(store, state, meta(None))
    state.params["w"][:] = -1
    gate.set()
    found, _ = checkpoint.restore(store, abstract(state))
    np.testing.assert_array_equal(found.params["w"], np.arange(1000))


def test_steps_to_which_the_state_is_donated_do_not_reach_the_checkpoint(tmp_path):
    # 32 MB of noise: the write goes on while the buffers are overwritten.
    noise = np.random.default_rng(0).integers(0, 1 << 20, (2, 2, 1024, 1024))
    noise = noise.astype(np.float32)
    fresh = small(0, a=noise[0], b=noise[1])
    asked = abstract(fresh)
    state = jax.device_put(fresh, asked.step.sharding)

    def add_one(state):
        return jax.tree.map(lambda x: x + 1, state)

    step = jax.jit(add_one, donate_argnums=0)
    for round in range(5):
        store = checkpoint.open_store(tmp_path / str(round))
        at_save = int(state.step)
        checkpoint.save(store, state, meta(None))
        for _ in range(10):
            state = step(state)
        checkpoint.finish(store)
        found, _ = checkpoint.restore(store, asked, at_save)
        # Whole numbers below 2^24: exact in float32.
        np.testing.assert_array_equal(found.params["a"], noise[0] + at_save)
        np.testing.assert_array_equal(found.params["b"], noise[1] + at_save)
        state = step(found)  # what was restored can be donated, on each device
        np.testing.assert_array_equal(state.params["a"], noise[0] + at_save + 1)
        for shard in state.params["b"].addressable_shards:
            np.testing.assert_array_equal(shard.data, noise[1] + at_save + 1)


def test_nothing_there_is_not_an_error_but_best_needs_an_evaluation(exp, tmp_path):
    store = checkpoint.open_store(tmp_path)
    assert checkpoint.restore(store, exp.abstract_state) is None
    with pytest.raises(InputError, match="no checkpoint was evaluated"):
        best.read(tmp_path)


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    saved(tmp_path, 1)
    half = tmp_path / "2.orbax-checkpoint-tmp"
    half.mkdir()
    (half / "junk").write_text("x")
    assert int(restore_small(tmp_path, read_only=True)[0].step) == 1
    assert half.exists()
    assert int(restore_small(tmp_path)[0].step) == 1
    saved(tmp_path, 2)
    assert not half.exists()


def test_a_damaged_checkpoint_is_moved_aside_and_the_one_before_is_used(
    tmp_path, capsys
):
    saved(tmp_path, 1, 2, best=(1, 2))
    damage(tmp_path / "2")
    store = checkpoint.open_store(tmp_path)
    state, found_meta = checkpoint.restore(store, abstract(small(0)))
    assert int(state.step) == 1
    assert found_meta == meta(1)
    assert best.read(tmp_path)["step"] == 1
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("checkpoint 2 is damaged (")
    assert said.endswith("; moved to damaged-2; using step 1\n")
    # The step can be saved again, and be damaged again.
    checkpoint.save(store, small(2), meta(2))
    checkpoint.finish(store)
    assert int(restore_small(tmp_path)[0].step) == 2
    damage(tmp_path / "2")
    assert int(restore_small(tmp_path)[0].step) == 1
    assert sorted(path.name for path in tmp_path.glob("damaged*")) == [
        "damaged-2",
        "damaged-2-2",
    ]


def test_damage_is_said_in_one_line_without_tracebacks(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).normal(size=(10, 300_000)).astype(np.float32)
    state = small(1, **{str(i): row for i, row in enumerate(noise)})
    store = checkpoint.open_store(tmp_path)
    checkpoint.save(store, state, meta(None))
    checkpoint.finish(store)
    for path in (tmp_path / "1/state/d").iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    with pytest.raises(
        InputError, match="none of the checkpoints can be read"
    ) as raised:
        checkpoint.restore(store, abstract(state))
    assert raised.value.found.count("\n") == 1
    time.sleep(0.3)  # for what was still on its way
    assert not reported


def test_without_a_best_one_best_json_goes(tmp_path):
    saved(tmp_path, 1, 2, best=(None, 2))
    damage(tmp_path / "2")
    restore_small(tmp_path)
    assert not (tmp_path / "best.json").exists()


def test_a_read_only_store_moves_nothing(tmp_path, capsys):
    saved(tmp_path, 1, 2, best=(1, 2))
    damage(tmp_path / "2")
    state, _ = restore_small(tmp_path, read_only=True)
    assert int(state.step) == 1
    assert "2 is damaged" in capsys.readouterr().out
    assert steps_in(tmp_path) == [1, 2]
    assert not list(tmp_path.glob("damaged*"))
    assert best.read(tmp_path)["step"] == 2


def test_if_none_can_be_read_all_are_named_and_stay(tmp_path):
    saved(tmp_path, 1, 2)
    damage(tmp_path / "1")
    shutil.rmtree(tmp_path / "2")
    (tmp_path / "2").mkdir()
    with pytest.raises(InputError, match="none of the checkpoints") as raised:
        restore_small(tmp_path)
    assert "step 1: " in raised.value.found
    assert "step 2: " in raised.value.found
    assert steps_in(tmp_path) == [1, 2]


def test_the_best_one_is_not_replaced_by_another(tmp_path):
    store = saved(tmp_path, 3, 4)
    damage(tmp_path / "4")
    for step in (4, 5):  # damaged, missing
        with pytest.raises(InputError, match=rf"{step}: the checkpoint cannot be read"):
            checkpoint.restore(store, abstract(small(0)), step)
    assert steps_in(tmp_path) == [3, 4]


def test_any_flipped_bit_is_noticed_or_harmless(tmp_path):
    state = small(2, w=np.arange(300, dtype=np.float32), b=np.float32(1))
    store = checkpoint.open_store(tmp_path / "whole")
    checkpoint.save(store, state, meta(2, value=0.875))
    checkpoint.finish(store)
    files = [path for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    assert len(files) > 5
    noticed = 0
    for path in files:
        content = path.read_bytes()
        for place in {0, len(content) // 3, len(content) // 2, len(content) - 1}:
            flipped = bytearray(content)
            flipped[place : place + 1] = bytes(b ^ 1 for b in content[place:][:1])
            path.write_bytes(flipped)
            try:
                opened = checkpoint.open_store(tmp_path / "whole", read_only=True)
                found, found_meta = checkpoint.restore(opened, abstract(state))
            except InputError as error:
                assert "none of the checkpoints can be read" in str(error)
                noticed += 1
            else:
                jax.tree.map(np.testing.assert_array_equal, found, state)
                assert found_meta == meta(2, value=0.875)
            try:
                alone, _ = restore.variables(tmp_path / "whole", abstract(state), 2)
            except InputError as error:
                assert "the checkpoint cannot be read" in str(error)
            else:
                jax.tree.map(np.testing.assert_array_equal, alone.params, state.params)
        path.write_bytes(content)
    assert noticed > 5


def test_a_checkpoint_of_another_model_is_no_damage(tmp_path):
    store = saved(tmp_path, 1, 2)
    other = small(0, w=np.zeros((5, 1), np.float32), v=np.zeros(2, np.int32))
    for step in (None, 2):
        with pytest.raises(InputError, match="another model") as raised:
            checkpoint.restore(store, abstract(other), step)
        assert "\n  + params/v int32[2]" in raised.value.found
        assert "\n  - params/w float32[5]\n  + params/w float32[5, 1]" in str(
            raised.value
        )
        assert "step" not in raised.value.found.split(":", 1)[1]
    assert steps_in(tmp_path) == [1, 2]


def test_checkpoints_without_digests_are_not_taken_for_damaged(tmp_path):
    saved(tmp_path, 1)
    (tmp_path / "1/record").rename(tmp_path / "1/meta")
    with pytest.raises(InputError, match="older version"):
        restore_small(tmp_path)
    assert steps_in(tmp_path) == [1]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_taken_for_damaged(tmp_path):
    saved(tmp_path, 1, 2)
    (tmp_path / "2/state").chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        restore_small(tmp_path)
    (tmp_path / "2/state").chmod(0o700)
    assert steps_in(tmp_path) == [1, 2]


def test_a_device_without_room_is_not_taken_for_damage(tmp_path, monkeypatch):
    saved(tmp_path, 1, 2)

    def no_room(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(jax, "make_array_from_callback", no_room)
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        restore_small(tmp_path)
    assert steps_in(tmp_path) == [1, 2]


def test_digests_tell_values_types_shapes_and_names_apart():
    array = np.arange(6, dtype=np.int32)
    variants = [array, array.view(np.float32), array.reshape(2, 3), array + 1]
    found = {digest.of({"x": variant})["x"] for variant in variants}
    assert len(found) == len(variants)
    columns = np.asfortranarray(array.reshape(2, 3))
    assert digest.of({"x": columns}) == digest.of({"x": array.reshape(2, 3)})
    assert digest.of({"x": array[::-1][::-1]}) == digest.of({"x": array})


def test_a_copy_on_the_host_shares_nothing():
    state = small(1, w=np.ones(1000, np.float32))
    on_device = jax.device_put(state, jax.devices("cpu")[0])
    for copied in (digest.host_copy(state), digest.host_copy(on_device)):
        assert list(copied) == ["step", "params/w"]
        assert not np.shares_memory(copied["params/w"], state.params["w"])
        view = np.asarray(on_device.params["w"])
        assert not np.shares_memory(copied["params/w"], view)


SCRIPT = """
import resource, signal, sys, pathlib
import numpy as np
import orbax.checkpoint as ocp
from cxr_jax.runs import checkpoint
from cxr_jax.state import TrainState
from tfds_builders.common.errors import InputError
folder = pathlib.Path(sys.argv[1])
def state(step, size):
    noise = np.random.default_rng(step).normal(size=(size, 1000)).astype(np.float32)
    empty = TrainState(*[{} for _ in TrainState._fields])
    return empty._replace(step=np.int32(step), params={"a": noise})
"""

FULL_DISK = """
store = checkpoint.open_store(folder)
checkpoint.save(store, state(1, 1), {"best": {"step": 1}})
checkpoint.finish(store)
# A limit on the size of a file fails the write as a full disk does.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for surfaces in (
    lambda: checkpoint.finish(store),
    lambda: checkpoint.save(store, state(3, 1), {"best": {"step": 3}}),
):
    checkpoint.save(store, state(2, 1000), {"best": {"step": 2}})
    try:
        surfaces()
    except InputError as error:
        print(error)
checkpoint.finish(store)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
"""


def script(code, environment, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"},
    )


def test_a_full_disk_is_explained_and_the_last_checkpoint_stays(tmp_path, environment):
    folder = tmp_path / "c"
    out, err = script(FULL_DISK, environment, folder).communicate(timeout=120)
    assert out.count("the checkpoint cannot be saved") == 2, err
    assert out.count("last good checkpoint is step 1") == 2
    assert steps_in(folder) == [1]
    assert best.read(folder)["step"] == 1
    found, _ = checkpoint.restore(
        checkpoint.open_store(folder),
        abstract(small(0, a=np.empty((1, 1000), np.float32))),
    )
    assert int(found.step) == 1


KILLED = """
store = checkpoint.open_store(folder)
checkpoint.save(store, state(1, 5000), {"best": {"step": 1}})
checkpoint.finish(store)
for step in range(2, 1000):
    checkpoint.save(store, state(step, 5000), {"best": {"step": step}})
    print(step, flush=True)
"""


@pytest.mark.parametrize(
    "moment", ["2.orbax-checkpoint-tmp", "3.*tmp/**/ocdbt.process*/d/*"]
)
def test_a_process_killed_while_it_writes_leaves_whole_checkpoints(
    moment, tmp_path, environment
):
    process = script(KILLED, environment, tmp_path)
    deadline = time.monotonic() + 120
    while (
        not list(tmp_path.glob(moment))
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.0005)
    process.kill()
    process.communicate()
    assert list(tmp_path.glob(moment)), "killed too late"
    # It is killed a little later: the step may be whole by then.
    assert best.read(tmp_path)["step"] in steps_in(tmp_path)
    expected = steps_in(tmp_path)[-1]
    assert expected >= int(moment[0]) - 1
    store = checkpoint.open_store(tmp_path)
    found, _ = checkpoint.restore(
        store, abstract(small(0, a=np.empty((5000, 1000), np.float32)))
    )
    assert int(found.step) == expected
    noise = np.random.default_rng(expected).normal(size=(5000, 1000))
    np.testing.assert_array_equal(found.params["a"], noise.astype(np.float32))
    assert best.read(tmp_path)["step"] == expected
    assert not list(tmp_path.glob("*tmp*"))


TWO_PROCESSES = """
import jax
from cxr_jax.devices import processes, sharding
processes.start(sys.argv[2], 2, int(sys.argv[3]))
everywhere = sharding.replicated(sharding.make_mesh(2))
store = checkpoint.open_store(folder)
shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), state(0, 10)
)
assert checkpoint.restore(store, shapes) is None
for step in (1, 2):
    on_devices = jax.device_put(state(step, 10), everywhere)
    checkpoint.save(store, on_devices, {"best": {"step": step}})
checkpoint.finish(store)
processes.wait("saved")
if processes.is_first():
    for path in (folder / "2/state").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
processes.wait("damaged")
found, meta = checkpoint.restore(checkpoint.open_store(folder), shapes)
assert int(found.step) == meta["best"]["step"] == 1
assert found.params["a"].sharding == everywhere
np.testing.assert_array_equal(found.params["a"], state(1, 10).params["a"])
processes.wait("restored")
if processes.is_first():
    (folder / "1").rename(folder / "lost")
processes.wait("lost")
try:
    checkpoint.restore(checkpoint.open_store(folder), shapes, 1)
except InputError as error:
    print(error)
"""


def test_two_processes_save_once_and_restore_the_same(tmp_path, environment):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [
        script(TWO_PROCESSES, environment, tmp_path / "c", address, index)
        for index in (0, 1)
    ]
    try:
        outputs = [process.communicate(timeout=100) for process in both]
    finally:
        for process in both:
            process.kill()
    for process, (out, err) in zip(both, outputs, strict=True):
        assert process.returncode == 0, err[-2000:]
        assert "1: the checkpoint cannot be read" in out
    assert "checkpoint 2 is damaged" in outputs[0][0]
    assert "checkpoint 2 is damaged" not in outputs[1][0]
    assert (tmp_path / "c/damaged-2").exists()


def test_best_json_is_for_people_too(tmp_path):
    best.write(tmp_path, meta(4)["best"])
    assert json.loads((tmp_path / "best.json").read_text())["step"] == 4


@pytest.mark.parametrize("name", ["a[1]", "b]", "c\\d", "d*", "e?", "ü", "n\nl"])
def test_places_whose_names_mean_something_to_others(tmp_path, name):
    """Orbax globs with the name; its storage layer takes a backslash for a slash."""
    beside = tmp_path / "d-other" / "checkpoints"
    saved(beside, 1)
    folder = tmp_path / name / "checkpoints"
    saved(folder, 1, 2)
    state, _ = restore_small(folder)
    np.testing.assert_array_equal(state.params["w"], small(2).params["w"])
    alone, _ = restore.variables(folder, abstract(small(0)), 1)
    np.testing.assert_array_equal(alone.params["w"], small(1).params["w"])
    assert steps_in(folder) == [1, 2] and steps_in(beside) == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "d-other"])


def test_a_place_that_returns_other_numbers_is_refused_at_the_start(
    tmp_path, monkeypatch
):
    ask = ocp.CheckpointManager.restore

    def other(self, *args, **kwargs):
        found = ask(self, *args, **kwargs)
        return {"array": found["array"] + 1} if "array" in found else found

    monkeypatch.setattr(ocp.CheckpointManager, "restore", other)
    with pytest.raises(InputError, match="comes back with other numbers"):
        checkpoint.open_store(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_the_first_checkpoint_is_read_back(tmp_path, monkeypatch):
    """Whoever loses it afterwards is found out with the first one, not with the last."""
    store = checkpoint.open_store(tmp_path)
    write = store.manager.save

    def save(step, **kwargs):
        write(step, **kwargs)
        damage(tmp_path / str(step))

    monkeypatch.setattr(store.manager, "save", save)
    checkpoint.save(store, small(1), meta(None))
    with pytest.raises(InputError, match="cannot be read back"):
        checkpoint.finish(store)
