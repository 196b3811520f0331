"""Reading ahead, in threads and in processes."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from tfds_builders.common.build.parallel import Workers
from tfds_builders.phantom import write_release


def no_crash(item):
    raise AssertionError(f"{item} did not crash")


def in_threads(function, items):
    with Workers() as workers:
        yield from workers.in_order(function, items, no_crash)


def test_order_is_kept_and_little_waits(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    first_may_end = threading.Event()
    asked = []

    def items():
        for i in range(50):
            asked.append(i)
            yield i

    def work(i):
        if i == 0:
            first_may_end.wait(10)  # the slowest comes first all the same
        else:
            first_may_end.set()
        return i * i

    results = in_threads(work, items())
    assert next(results) == 0
    assert len(asked) <= 5
    assert list(results) == [i * i for i in range(1, 50)]


def test_errors_arrive():
    results = in_threads(lambda i: 1 / (3 - i), range(6))
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def square(i):
    return i * i, os.getpid()


def test_processes_keep_the_order():
    with Workers(2) as workers:
        first = list(workers.in_order(square, range(20), no_crash))
        again = list(workers.in_order(square, range(5), no_crash))
    assert [value for value, _ in first] == [i * i for i in range(20)]
    processes = {process for _, process in first + again}
    assert os.getpid() not in processes
    assert len(processes) <= 2


def die_of_seven(i):
    if i == 7:
        os.kill(os.getpid(), signal.SIGSEGV)
    return i


def test_a_decoder_that_crashes_costs_its_own_file_only():
    with Workers(2) as workers:
        results = list(workers.in_order(die_of_seven, range(12), lambda i: f"no {i}"))
    assert results == [*range(7), "no 7", *range(8, 12)]


def die_once(folder):
    """The first to come dies, as of too little memory; the file is not to blame."""
    try:
        (folder / "died").touch(exist_ok=False)
    except FileExistsError:
        return "read"
    os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def test_a_process_that_is_killed_costs_nothing(tmp_path):
    with Workers(2) as workers:
        results = list(workers.in_order(die_once, [tmp_path] * 9, no_crash))
    assert results == ["read"] * 9


UNGUARDED = """
import sys
from tfds_builders.build import build
from tfds_builders.common.build.builder import Options
build("covidgr", sys.argv[1], sys.argv[2], quiet=True, options=Options(num_workers=1))
"""


def test_a_program_that_builds_in_its_workers_too(tmp_path):
    release = write_release("covidgr", tmp_path / "release", n=9, size=32)
    (tmp_path / "program.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", release, tmp_path / "data"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "--num_workers" in done.stderr
    assert "if __name__ == '__main__':" in done.stderr
    assert "decoder" not in done.stderr


PARENT = """
from tfds_builders.common.build.parallel import Workers
def wait(i):
    import os, time
    print(os.getpid(), flush=True)
    time.sleep(600)
if __name__ == "__main__":
    with Workers(1) as workers:
        list(workers.in_order(wait, [1], None))
"""


def test_no_process_outlives_a_killed_parent(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(500):
        try:
            # A zombie of a container without an init is gone as well.
            stat = pathlib.Path(f"/proc/{child}/stat").read_text()
        except FileNotFoundError:
            return
        if stat.rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {child} still runs")
