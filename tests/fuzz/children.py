"""Reads files in child processes, within limits of time and memory."""

import contextlib
import faulthandler
import gc
import os
import re
import resource
import select
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.case import ALLOWED, Case, Kind, Reading, same
from tests.fuzz.kinds import make_case
from tfds_builders.common.errors import InputError

FAULTS = ("traceback", "unnamed", "hang", "crash", "memory", "silent", "wrong refusal")
_ROOT = str(Path(__file__).resolve().parents[2])
_ASLEEP = 6  # half seconds without any work: it waits for something
# What libjpeg says of data that it has to make up or leave out.
_LIBJPEG = ("Corrupt JPEG", "Premature end", "extraneous bytes")
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "nsufficient memory", "nable to allocate")


class Limits(NamedTuple):
    """Limits of one reading: CPU seconds, seconds, bytes on top of Python's own."""

    cpu: int = 10
    wall: float = 60.0
    memory: int = 1 << 30


LIMITS = Limits()


class Verdict(NamedTuple):
    """The outcome of a case.

    Attributes:
      kind, number: of the case.
      original, mutation: as in `Case`.
      outcome: same, other, noted or refused, or one of FAULTS.
      detail: the message, or where and what.
    """

    kind: str
    number: int
    original: str
    mutation: str
    outcome: str
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        return self.outcome in FAULTS


def run(
    kinds: dict[str, Kind], cases: list[tuple[str, int]], limits: Limits = LIMITS
) -> Iterator[Verdict]:
    """Returns the verdicts of cases (kind, number), in order.

    A child reads one case after another, so that imports are paid for once; if a case
    ends it, the next child continues after that case.
    """
    expected = _originals(kinds, {name for name, _ in cases})
    gc.freeze()  # else a collection in the child copies the pages of all objects
    done = 0
    while done < len(cases):
        for verdict in _child(kinds, expected, cases[done:], limits):
            done += 1
            yield verdict


def _originals(kinds, names) -> dict[tuple[str, str], Reading]:
    """What undamaged files are read as."""
    found = {}
    for name in sorted(names):
        kind = kinds[name]
        for original in kind.originals():
            case = Case(original.name, "", original.data, "same")
            with (
                tempfile.TemporaryDirectory() as folder,
                _hushed(),
                contextlib.suppress(_NeedsPackage),
            ):
                reading = _read(kind, kind.place(Path(folder), case))
                found[name, original.name] = reading
    return found


class _NeedsPackage(Exception):
    """The format cannot be read here."""


def _read(kind: Kind, path: Path) -> Reading:
    try:
        return kind.read(path)
    except InputError as error:
        if "which is not installed" in str(error):
            raise _NeedsPackage from error
        raise


@contextlib.contextmanager
def _hushed():
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _child(kinds, expected, cases, limits: Limits) -> Iterator[Verdict]:
    """Yields verdicts until the cases, or the child, come to an end."""
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        said = Path(folder, "said")
        receiver, sender = Pipe(duplex=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # jax warns of forks
            pid = os.fork()
        if pid == 0:
            receiver.close()
            _work(kinds, expected, cases, limits, Path(folder), said, sender)
        sender.close()
        try:
            yield from _collect(receiver, pid, cases, limits, said)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _collect(receiver, pid, cases, limits, said) -> Iterator[Verdict]:
    begun = None
    for kind, number in cases:
        while True:
            if begun and (too_long := _waits_in_vain(receiver, pid, limits)):
                os.kill(pid, signal.SIGUSR1)  # it says where it is
                time.sleep(0.5)
                os.kill(pid, signal.SIGKILL)
                yield Verdict(*begun, "hang", f"{too_long} {_last_place(said)}".strip())
                return
            try:
                message = receiver.recv()
            except EOFError:
                _, status = os.waitpid(pid, 0)
                yield _death(begun or (kind, number, "", ""), status, said)
                return
            if isinstance(message, BaseException):
                raise message
            if len(message) == 4:  # (kind, number, original, mutation): it is read now
                begun = message
                continue
            yield Verdict(*message)
            begun = None
            break


def _waits_in_vain(receiver, pid: int, limits: Limits) -> str:
    """'' once the child has sent something; else why waiting was given up."""
    begin, asleep = time.monotonic(), 0
    before = ""
    while not select.select([receiver], [], [], 0.5)[0]:
        if time.monotonic() - begin > limits.wall:
            return f"longer than {limits.wall:g} s"
        # State, and processor time in ticks (proc_pid_stat(5), fields 3, 14 and 15).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = " ".join((fields[0], *fields[11:13]))
        # One that waits for a process of its own is at work.
        waits = Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()
        is_asleep = now == before and fields[0] == "S" and not waits
        asleep = asleep + 1 if is_asleep else 0
        if asleep >= _ASLEEP:
            return "it waits for what does not come"
        before = now
    return ""


def _death(begun, status: int, said: Path) -> Verdict:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    text = said.read_text(errors="replace")[-2000:] if said.exists() else ""
    if number == signal.SIGXCPU:
        detail = f"more processor time than the limit {_last_place(said)}"
        return Verdict(*begun, "hang", detail.strip())
    if any(word in text for word in _OUT_OF_MEMORY):
        return Verdict(*begun, "memory", _line(text))
    name = signal.Signals(number).name if number else f"exit {status >> 8}"
    return Verdict(*begun, "crash", f"{name} {_last_place(said)}".strip())


def _last_place(said: Path) -> str:
    """'at cxr_jax/...py:12', of the traceback that faulthandler wrote last."""
    if not said.exists():
        return ""
    text = said.read_text(errors="replace").rpartition("Current thread")[2]
    found = re.findall(
        rf'File "{re.escape(_ROOT)}/(?!tests|\.venv)(.*?)", line (\d+)', text
    )
    return f"at {found[0][0]}:{found[0][1]}" if found else ""


def _line(text: str) -> str:
    return " / ".join(text.strip().splitlines()[:3])[:200]


def _work(kinds, expected, cases, limits, folder, said, sender) -> None:
    """In the child: never returns."""
    try:
        with said.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        faulthandler.enable(2, all_threads=False)
        faulthandler.register(signal.SIGUSR1, 2, all_threads=False)
        faulthandler.register(signal.SIGXCPU, 2, all_threads=False, chain=True)
        for name, number in cases:
            case = make_case(kinds[name], name, number)
            here = folder / "case"
            here.mkdir()
            path = kinds[name].place(here, case)
            begun = (name, number, case.original, case.mutation)
            sender.send(begun)
            os.ftruncate(2, 0)
            outcome = _attempt(kinds[name], path, case, expected, begun, limits, said)
            sender.send((*begun, *outcome))
            shutil.rmtree(here)
    except BaseException as error:  # noqa: BLE001 a fault of the tool, not of a reader
        sender.send(RuntimeError(f"{name} {number}: {_where(error)}"))
    finally:
        os._exit(0)


def _attempt(kind, path, case, expected, begun, limits, said) -> tuple[str, str]:
    """-> (outcome, detail)."""
    before = expected.get((begun[0], case.original))
    try:
        with _limited(limits):
            reading = _read(kind, path)
    except _NeedsPackage as error:
        return "refused", str(error.__cause__)
    except InputError as error:
        return _refused(error, path, case, before)
    except MemoryError as error:
        return "memory", _where(error)
    except BaseException as error:  # noqa: BLE001 whatever a reader lets through
        return "traceback", _where(error)
    return _accepted(reading, before, case, said)


def _refused(error: InputError, path: Path, case: Case, before) -> tuple[str, str]:
    text = str(error)
    folder = Path(*path.parts[: path.parts.index("case") + 1])
    is_named = str(path) in text or (str(folder) in text and path.name in text)
    # A file that is not there has no name: a run without results is not finished.
    is_named |= case.mutation == "nothing" and str(folder) in text
    message = _line(text.replace(f"{folder}/", ""))
    if any(word in text for word in _OUT_OF_MEMORY):
        return "memory", f"{_place(error)}: {message}"
    # A key of the config says where to look as well.
    if not is_named and not (path.name == "config.json" and "config." in text):
        return "unnamed", f"{_place(error)}: {message}"
    if before is not None and "refused" not in ALLOWED[case.demand]:
        return "wrong refusal", f"{_place(error)}: {message}"
    return "refused", message


def _accepted(reading: Reading, before, case: Case, said: Path) -> tuple[str, str]:
    if before is None:
        return "other", ""
    notes = set(reading.notes) - set(before.notes)
    if notes:
        outcome = "noted"
    else:
        outcome = "same" if same(reading.value, before.value) else "other"
    text = said.read_text(errors="replace")
    complains = any(word in text for word in _LIBJPEG)
    complaint = f", though libjpeg says: {_line(text)}" if complains else ""
    if outcome not in ALLOWED[case.demand] or (outcome == "other" and complains):
        return "silent", f"{outcome} values, no note ({case.demand}){complaint}"
    return outcome, ", ".join(sorted(notes))[:200]


@contextlib.contextmanager
def _limited(limits: Limits):
    """Applies the limits only while reading, not while the file is made."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + limits.memory,
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + limits.cpu,
    }
    for what, most in soft.items():
        resource.setrlimit(what, (most, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for what in soft:
            resource.setrlimit(what, (resource.RLIM_INFINITY,) * 2)


def _where(error: BaseException) -> str:
    """'KeyError at cxr_jax/...py:12: message'."""
    text = (str(error).strip().splitlines() or [""])[0][:120]
    return f"{_place(error)}: {text}"


def _place(error: BaseException) -> str:
    """The type of the error, and the last line of our own code in its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(_ROOT)]
    own = [f for f in own if "/.venv/" not in f.filename]
    own = [f for f in own if f"{_ROOT}/tests/" not in f.filename] or own
    last = own[-1].filename.removeprefix(f"{_ROOT}/") if own else "?"
    return f"{type(error).__name__} at {last}:{own[-1].lineno if own else 0}"


def verdict_of(kinds: dict[str, Kind], name: str, number: int) -> tuple[Verdict, Any]:
    """(verdict, case) of one case, to look at."""
    (verdict,) = run(kinds, [(name, number)])
    return verdict, make_case(kinds[name], name, number)
