"""A reduced smoke of benchmarks.gpu, on a machine that has few packages."""

import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from places import REPOSITORY

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import idle, op_forms, rows
from benchmarks.gpu.child import Child, Lost
from benchmarks.gpu.rows import Row
from benchmarks.gpu.sizes import SMOKE

TINY = SMOKE._replace(
    steps=(("cnn", "float32"), ("cnn", "bfloat16")),
    batches=(2,),
    seconds=0.01,
    side=16,
    loop_model="cnn",
    loop_batch=2,
    stored=16,
    pictures=4,
    member_side=16,
    member_batch=2,
    matrix=32,
)
# Of what a machine with a GPU lacks.
ABSENT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    names = {
        "tensorflow_datasets", "tensorflow", "grain", "array_record", "ml_collections",
        "tensorboardX", "pydicom", "openpyxl", "importlib_resources", "torch", "jinja2",
    }

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def few_packages(monkeypatch, tmp_path):
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "sitecustomize.py").write_text(ABSENT)
    paths = [str(tmp_path / "absent"), str(REPOSITORY)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(REPOSITORY / ".jax_cache"))


def test_steps_and_loop_are_measured_with_few_packages(few_packages, tmp_path):
    chosen = ["steps cnn float32", "idle"]
    found = command.measure(TINY, tmp_path, 5, chosen, "tiny")["rows"]
    step = found["steps cnn float32"]["trainers"]
    assert step["ours"]["batch"] == 2 and step["ours"]["flops"] > 0
    assert len(step["ours"]["seconds"]) == TINY.repeats
    assert step["eager"]["problem"] == "torch is not installed"
    assert found["idle"]["images_per_s"] > 0 and found["idle"]["idle"] is None
    assert set(found) == set(chosen)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["rows"] == found
    table = (tmp_path / "table.md").read_text()
    assert "| cnn, float32 | 2, -, - |" in table and "torch is not installed" in table


def test_every_row_has_a_plan_and_the_first_is_what_matters_most():
    names = [row.name for row in rows.plan(TINY, pathlib.Path("films"))]
    assert len(set(names)) == len(names)
    for part in ("idle", "members", "whole training", "predictions", "features"):
        assert part in names
    assert names[1:3] == [f"steps cnn {dtype}" for _, dtype in TINY.steps]


def hang():
    yield "ready"
    time.sleep(600)
    yield "never"


def crash():
    yield os.getpid()
    os.kill(os.getpid(), signal.SIGSEGV)


def fail():
    yield "ready"
    raise ValueError("on purpose\nand more")


@pytest.mark.parametrize(
    "answers, reason",
    [
        (hang, "no answer in the time"),
        (crash, "exit code -11"),
        (fail, "ValueError: on purpose$"),
    ],
)
def test_a_process_that_is_lost_says_why_and_is_gone(answers, reason, tmp_path):
    child = Child(answers, (), tmp_path / "log.txt")
    child.answer(time.monotonic() + 60)
    with pytest.raises(Lost, match=reason):
        child.answer(time.monotonic() + 2 + 58 * (answers is not hang))
    assert not child._process.is_alive()


def test_a_row_that_fails_costs_itself_alone(monkeypatch, tmp_path):
    def lost(deadline, log):
        raise Lost("it crashed")

    planned = [
        Row("bad", 100, lost),
        Row("good", 100, lambda deadline, log: {"value": 1}),
    ]
    monkeypatch.setattr(rows, "plan", lambda sizes, folder: planned)
    found = command.measure(TINY, tmp_path, 1, [], "tiny")["rows"]
    assert found["bad"]["problem"] == "it crashed" and found["good"]["value"] == 1
    assert "| bad | it crashed |" in (tmp_path / "table.md").read_text()

    # The second call measures what is missing, and no other.
    planned[:] = [
        Row("bad", 100, lambda deadline, log: {"value": 2}),
        Row("good", 100, lost),
    ]
    found = command.measure(TINY, tmp_path, 1, [], "tiny")["rows"]
    assert (found["bad"]["value"], found["good"]["value"]) == (2, 1)


def test_without_time_no_row_is_begun(monkeypatch, tmp_path):
    row = Row("late", 100, lambda deadline, log: {"value": 1})
    monkeypatch.setattr(rows, "plan", lambda sizes, folder: [row])
    found = command.measure(TINY, tmp_path, 0, [], "tiny")["rows"]
    assert found == {"late": {"problem": "not begun: the time was up"}}


def test_results_of_other_sizes_are_not_mixed(tmp_path):
    (tmp_path / "results.json").write_text('{"sizes": "full", "rows": {}}')
    with pytest.raises(command.InputError, match="give another --out"):
        command.measure(TINY, tmp_path, 1, [], "smoke")


def test_a_row_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(command.InputError, match="'steq' begins no row") as error:
        command.measure(TINY, tmp_path, 1, ["idle", "steq"], "tiny")
    assert "whole training" in error.value.hint


def test_gaps_are_what_no_kernel_covers():
    assert idle.gaps([(0, 4), (2, 5), (8, 10)]) == pytest.approx(0.3)
    assert idle.gaps([(3, 5)]) == 0
    assert idle.gaps([]) is None


def test_both_forms_of_an_operation_agree():
    depthwise, *_, product, pool = op_forms.forms(2, share=16)
    for form in (depthwise, product, pool):
        arrays = [
            # After a relu, as where the models pool.
            abs(jax.random.normal(jax.random.key(k), s))
            for k, s in enumerate(form.shapes)
        ]
        ours, theirs = (_both_ways(f, arrays) for f in (form.ours, form.other))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def _both_ways(function, arrays):
    """The values, and the gradients of half their squares, within jit."""

    @jax.jit
    def both(*arrays):
        y, back = jax.vjp(function, *arrays)
        return y, *back(y)

    return both(*arrays)


@pytest.mark.slow
def test_the_smoke(tmp_path):
    out = tmp_path / "out"
    module = (sys.executable, "-m", "benchmarks.gpu")
    subprocess.run([*module, "--smoke", f"--out={out}", "--minutes=9"], check=True)
    found = json.loads((out / "results.json").read_text())["rows"]
    whole = found["whole training"]["rows"]
    assert all(map(math.isfinite, whole["ours, warm"]))
    assert whole["ours, warm"][0] < whole["ours, cold"][0]
    assert found["features"]["trainers"]["ours"]["seconds"]
    assert not [name for name, row in found.items() if "problem" in row]
