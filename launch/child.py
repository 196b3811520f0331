"""Runs a command and forwards the signals that stop a sweep."""

from __future__ import annotations

import signal
import subprocess

_CRASHES = (
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
)


def follow(command: list[str], received: list[signal.Signals]) -> int:
    """Runs a command to its end and forwards signals received meanwhile.

    Args:
      command: program and arguments.
      received: from `signals.listening`; grows meanwhile.

    Returns:
      The exit code, or minus the signal that ended it, as in `subprocess`.
    """
    # In its own process group, the command gets a Ctrl-C or a signal to our whole group
    # only once, through us; a run takes a second one to mean: stop without saving.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    passed_on = 0
    while True:
        for number in received[passed_on:]:
            # A run saves on SIGTERM; closing the terminal should not lose its work.
            number = signal.SIGTERM if number == signal.SIGHUP else number
            process.send_signal(number)
            passed_on += 1
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue


def asked_by(code: int, finished: bool) -> signal.Signals | None:
    """The signal that must have ended a run; None if it finished, failed or crashed.

    Args:
      code: from `follow`.
      finished: results.json exists.
    """
    if code == 0 and not finished:
        return signal.SIGTERM  # a run saves and exits with 0
    if code == 128 + signal.SIGINT:
        return signal.SIGINT
    if code < 0 and -code not in _CRASHES:
        return signal.Signals(-code)
    return None
