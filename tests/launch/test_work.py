"""One job where a scheduler started it, as Kubernetes does."""

import signal
import subprocess
import sys
import time

import pytest
from places import REPOSITORY
from toy_runs import BEGIN, TRAIN

from launch import attempts, claim, jobs


@pytest.fixture
def file(out, tmp_path):
    """file(code) -> a file with one job that executes the code in the workdir out/a."""

    def write(code):
        program = BEGIN.format(workdir=str(out / "a")) + code
        command = (sys.executable, "-S", "-c", program)
        job = jobs.Job((jobs.Part("a", "a", "digest", {}),), command, "a/log.txt")
        path = tmp_path / "jobs.json"
        path.write_text(jobs.text(out, [job]))
        return str(path)

    return write


def work(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "launch.work", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    "code, expected, said",
    [
        ("finish()", 0, "a: "),
        ("print('no such film'); sys.exit(3)", 3, "no such film"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "killed by SIGKILL"),
        # A scheduler told the run itself: on 143 Kubernetes starts it again.
        ("sys.exit(0)", 143, "the same sweep resumes it"),
    ],
)
def test_the_exit_code_says_what_became_of_the_run(file, out, code, expected, said):
    process = work(file(code))
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == expected and said in shown
    (attempt,) = attempts.read(out / "a")
    assert attempt.backend == "kubernetes"


def test_it_saves_when_told_to_and_runs_nothing_that_is_over_or_taken(file, out):
    path = file(TRAIN.format(steps=10**6))
    process = work(path)
    while not (out / "a/ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    second = work(path)
    shown, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and "another process has it" in shown
    process.send_signal(signal.SIGTERM)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 143 and int((out / "a/steps").read_text()) > 0
    assert claim.holder(out, "digest") is None
    (out / "enough").touch()
    for _ in range(2):  # to its end, and once more
        process = work(path)
        shown, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert "a: finished" in shown
    assert (out / "started").read_text().split() == ["a", "a"]


@pytest.mark.parametrize(
    "content, index, message",
    [
        (None, 0, "there is no such file"),
        ("{", 0, "is not valid JSON"),
        ("{}", 0, "has no folder"),
        ('{"folder": "a", "jobs": [{}]}', 0, "has no parts"),
        ('{"folder": "a", "jobs": []}', 1, "--index: is 1"),
    ],
)
def test_a_file_that_is_none_is_one_error(tmp_path, content, index, message):
    path = tmp_path / "jobs.json"
    if content is not None:
        path.write_text(content)
    process = work(str(path), f"--index={index}")
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message in shown and "Traceback" not in shown
