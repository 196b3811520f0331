import io
import math
import os
import sys

from cxr_jax.devices import terminal


def test_a_closed_pipe_is_not_an_error(monkeypatch, tmp_path):
    """For example, Ctrl-C ends `| tee log` before it ends the run."""

    class Pipe(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

        def fileno(self):
            return file.fileno()

    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", Pipe())
        terminal.say("lost")
        # What is written from now on goes nowhere.
        assert os.fstat(file.fileno()).st_rdev == os.stat(os.devnull).st_rdev


def test_durations_in_words():
    assert [terminal.duration(x) for x in (5, 75, 3675, math.nan)] == [
        "0:05",
        "1:15",
        "1:01:15",
        "?",
    ]
