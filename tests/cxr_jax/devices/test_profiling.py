import gzip
import json
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from cxr_jax.devices import profiling
from tfds_builders.common.errors import InputError


@jax.jit
def wobbling_product(x):
    return jnp.sin(x @ x)


def loop(folder, first, steps, last, fail_at=None):
    x = wobbling_product(jnp.ones((64, 64)))
    with profiling.recorded(folder, first, steps) as profile:
        for step in range(last):
            if step == fail_at:
                raise KeyError("of the loop")
            profile.before(step)
            x = wobbling_product(x)
            profile.after({"x": x})


def traces(folder):
    return sorted(folder.rglob("perfetto_trace.json.gz"))


def events(folder):
    """Events in Chrome's trace event format: complete events have phase X."""
    (path,) = traces(folder)
    content = json.loads(gzip.decompress(path.read_bytes()))
    return [event for event in content["traceEvents"] if event.get("ph") == "X"]


def steps_of(found):
    return sorted(
        int(event["args"]["step_num"])
        for event in found
        if event["name"].startswith("step") and "step_num" in event.get("args", {})
    )


def test_a_trace_holds_the_requested_steps(tmp_path, capsys):
    loop(tmp_path / "profile", first=2, steps=3, last=9)
    found = events(tmp_path / "profile")
    assert steps_of(found) == [2, 3, 4]
    calls = [event for event in found if "wobbling_product" in str(event)]
    assert len(calls) >= 3
    spans = [event for event in found if event["name"].startswith("step")]
    assert all(event["dur"] > 0 for event in spans)
    # Computed within the trace: the device was waited for.
    assert sum("sine" in event["name"] for event in found) >= 3
    shown = capsys.readouterr().out
    assert str(traces(tmp_path)[0]) in shown
    assert "https://ui.perfetto.dev" in shown


def test_a_trace_begins_late_if_the_loop_runs_several_steps_at_once(tmp_path):
    with profiling.recorded(tmp_path, first=10, steps=1) as profile:
        for step in (0, 8, 16, 24):
            profile.before(step)
            profile.after(wobbling_product(jnp.ones((8, 8))))
    assert steps_of(events(tmp_path)) == [16]


def test_a_trace_of_a_run_that_ends_early_is_written(tmp_path):
    loop(tmp_path, first=3, steps=50, last=5)
    assert steps_of(events(tmp_path)) == [3, 4]


def test_a_trace_of_a_run_that_fails_is_written(tmp_path):
    with pytest.raises(KeyError, match="of the loop"):
        loop(tmp_path, first=1, steps=50, last=9, fail_at=3)
    assert steps_of(events(tmp_path)) == [1, 2]


def test_a_run_that_ends_before_the_trace_says_so(tmp_path, capsys):
    loop(tmp_path, first=30, steps=2, last=5)
    assert traces(tmp_path) == []
    assert "no trace: the run ended before step 30" in capsys.readouterr().out


def test_no_steps_no_trace(tmp_path, capsys):
    loop(tmp_path / "profile", first=0, steps=0, last=3)
    assert not (tmp_path / "profile").exists()
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_is_named_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="profile: cannot be written"):
        loop(tmp_path / "file" / "profile", first=0, steps=1, last=1)


def test_a_trace_that_cannot_be_written_is_an_error(tmp_path):
    # In a process of its own: JAX takes the failed trace for one that still runs.
    code = (
        "import pathlib, sys, jax.numpy as jnp\n"
        "from cxr_jax.devices import profiling\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with profiling.recorded(folder, 0, 1) as profile:\n"
        "    profile.before(0)\n"
        "    folder.rmdir()\n"
        "    folder.write_text('')\n"
        "    profile.after(jnp.ones(3))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "profile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    message = done.stderr.partition("InputError: ")[2]
    assert re.match(r"\S+profile: (the trace )?cannot be written: .+\n  -> ", message)
