import io
import math
import os
import sys

from cxr_jax.devices import terminal


def test_a_reader_that_is_gone_is_no_reason_to_fail(monkeypatch, tmp_path):
    """As Ctrl-C ends `| tee log` before it ends the run."""

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


def test_durations_for_people():
    assert [terminal.duration(x) for x in (5, 75, 3675, math.nan)] == [
        "0:05",
        "1:15",
        "1:01:15",
        "?",
    ]
