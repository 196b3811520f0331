"""A polite end, at any moment: finish what is being done, save, leave.

Imports nothing that takes time: the command line calls `begin` before all else.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import select
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_ASKING = (signal.SIGTERM, signal.SIGINT)
# Names the descriptor of a pipe that ends with the launcher that started this process.
LAUNCHER = "CXR_JAX_LAUNCHER"


class StopRequest:
    """Remembers the signals that asked to stop.

    Nothing is printed or raised within the handler: a save may be going on.

    Attributes:
      received: in their order.
      is_patient: of `listening`.
      is_held: the process goes on until whoever listens has ended what it does. Before,
        nothing would be lost, and after `begin` a signal ends the process at once.
    """

    def __init__(self, *, patient: bool = False, held: bool = True):
        self.received: list[signal.Signals] = []
        self.is_patient, self.is_held = patient, held

    def hold(self) -> None:
        """From now on an end at once would lose something."""
        self.is_held = True

    @property
    def signal(self) -> signal.Signals | None:
        """The first that came, or None."""
        return self.received[0] if self.received else None

    @property
    def name(self) -> str:
        """'SIGTERM', or what to say where another process got it."""
        return self.signal.name if self.signal else "another process was stopped"

    @property
    def exit_code(self) -> int:
        """0 for a scheduler's SIGTERM, 130 for Ctrl-C, as shells expect."""
        return 130 if self.signal == signal.SIGINT else 0


# Of the `listening` that is going on: whom the thread of `begin` leaves the signals to.
_listeners: list[StopRequest] = []
_has_begun = False


def begin(arguments: Sequence[str] = ()) -> None:
    """From now on SIGTERM and Ctrl-C end this process and its children at once.

    Python runs handlers between two instructions of the main thread: not while it is
    compiling, and what a handler raises is lost where a library catches it. So a
    thread is woken by the signal itself and ends the process, unless `listening`
    means to. Whatever is on the disk was written to survive a kill.

    Args:
      arguments: of the command line; only a training ends with 0 after SIGTERM, since
        a scheduler starts it again.
    """
    global _has_begun
    if _has_begun:
        return
    _has_begun = True
    asleep, awake = os.pipe()
    os.set_blocking(awake, False)
    _install()
    signal.set_wakeup_fd(awake, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=_forget)
    threading.Thread(
        target=_watch, args=(asleep, _is_training(arguments)), daemon=True
    ).start()
    _follow_launcher()


def again() -> None:
    """After a library may have put a handler of its own in place of that of `begin`."""
    if _has_begun:
        _install()


def _install() -> None:
    for number in _ASKING:
        signal.signal(number, _noted)


@contextmanager
def listening(*, patient: bool = False, held: bool = True) -> Iterator[StopRequest]:
    """Takes signals as requests to stop; afterwards they do again what they did before.

    Args:
      patient: also takes SIGHUP, unless it is ignored (nohup), and every further
        Ctrl-C. Without it a second Ctrl-C ends the process; a second SIGTERM never
        does, because schedulers send it to a sweep and to its run alike.
      held: of `StopRequest`.
    """
    request = StopRequest(patient=patient, held=held)

    def note(number, frame):
        request.received.append(signal.Signals(number))
        if not patient:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    numbers = list(_ASKING)
    if patient and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, note) for number in numbers}
    _listeners.append(request)
    try:
        yield request
    finally:
        _listeners.remove(request)
        for number, handler in former.items():
            signal.signal(number, handler)


def _noted(number, frame) -> None:
    """The thread of `begin` deals with it; a handler has to be there to wake it."""


def _forget() -> None:
    """In a forked child, which would wake the thread of its parent."""
    signal.set_wakeup_fd(-1)
    for number in _ASKING:
        signal.signal(number, signal.SIG_DFL)


def _follow_launcher() -> None:
    """Ends this process, politely, when the launcher of a sweep has ended.

    Nobody would see it any more, and a new launcher would start the same run.
    """
    # Not for our own children, which do not have the pipe.
    descriptor = os.environ.pop(LAUNCHER, "")

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(
                int(descriptor), 1
            )  # nothing is ever written: it returns at the end
            os.kill(os.getpid(), signal.SIGTERM)

    if descriptor.isdecimal():
        threading.Thread(target=wait, daemon=True).start()


def _is_training(arguments: Sequence[str]) -> bool:
    words = [word for text in arguments for word in text.split("=", 1)]
    pairs = itertools.pairwise(words)
    modes = [value for flag, value in pairs if flag.strip("-") == "mode"]
    return modes in ([], ["train"])


def _watch(asleep: int, is_training: bool) -> None:
    interrupts = 0
    while True:
        for number in os.read(asleep, 64):
            if number not in _ASKING:
                continue
            interrupts += number == signal.SIGINT
            held = [each for each in _listeners if each.is_held]
            is_patient = any(each.is_patient for each in held)
            if not held or (interrupts > 1 and not is_patient):
                _end(signal.Signals(number), is_training)


def _end(number: signal.Signals, is_training: bool) -> None:
    text = f"{number.name}: stopped; run the same command again"
    text += " to resume\n" if is_training else "\n"
    # Nobody may be reading; the buffer's lock may be held by whoever is printing.
    if select.select([], [2], [], 0.2)[1]:
        with contextlib.suppress(OSError):
            os.write(2, text.encode())
    # Last of all: the main thread may be waiting for one of them, and would go on.
    for child in _children():
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGTERM)
    saves = is_training and number == signal.SIGTERM
    os._exit(0 if saves else 128 + number)


def _children() -> list[int]:
    """Of this process, where the system tells (Linux)."""
    found = []
    for path in pathlib.Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            found += [int(word) for word in path.read_text().split()]
    return found
