"""What a command does when its output is no longer read."""

import subprocess
import sys

_LISTS = """
from tfds_builders.common import command
def main(argv):
    for number in range(100_000):
        print(number)
command.run(main)
"""
_SENDS = """
from tfds_builders.common import command
def main(argv):
    raise BrokenPipeError(32, "the other side of a connection went away")
command.run(main)
"""


def test_a_reader_that_has_seen_enough_gets_no_traceback(environment):
    listing = subprocess.Popen(
        [sys.executable, "-c", _LISTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert listing.stdout.readline() == "0\n"
    listing.stdout.close()
    assert listing.wait(30) == 1
    assert listing.stderr.read() == ""


def test_another_broken_connection_is_not_hidden(environment):
    done = subprocess.run(
        [sys.executable, "-c", _SENDS],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "the other side of a connection went away" in done.stderr
