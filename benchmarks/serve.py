"""What a DICOM node holds: load, memory, kills and refusals, one table each.

    python -m benchmarks.serve --bundle=DIR [--part=load,memory,kills,refusals]
        [--films=500] [--senders=4] [--side=1500] [--many=5000] [--kills=50]

Films are drawn here. Results go to Orthanc where it is installed (apt-get install
orthanc), else to a node of pynetdicom that counts.
"""

from __future__ import annotations

import contextlib
import json
import logging
import pathlib
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import pydicom
from absl import flags
from pynetdicom.sop_class import EncapsulatedPDFStorage

from benchmarks import machine
from cxr_jax.bundle import load
from cxr_jax.predict.scoring import NO_GATE
from cxr_jax.serve import objects, scored
from tfds_builders.common import command
from tfds_builders.common.errors import InputError

# What the tests of the node send with, and kill it by.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "support"))
from kills import killed
from node_films import film
from nodes import Archive, Running, free_port, open_association, running, send, until

_BUNDLE = flags.DEFINE_string("bundle", "", "The bundle that scores.")
_PART = flags.DEFINE_list(
    "part", ["load", "memory", "kills", "refusals"], "Which tables."
)
_FILMS = flags.DEFINE_integer("films", 500, "Of the load.")
_SENDERS = flags.DEFINE_integer("senders", 4, "That send them at once.")
_ABORTS = flags.DEFINE_float("aborts", 0.1, "Share of sendings that end in the middle.")
_SIDE = flags.DEFINE_integer("side", 1500, "Pixels of a side of a film.")
_MANY = flags.DEFINE_integer("many", 5000, "Films over which memory is watched.")
_KILLS = flags.DEFINE_integer("kills", 50, "How often the node is killed.")
_KINDS = ("sr", "sc")


class Sent(NamedTuple):
    """What the senders saw."""

    stored: int
    aborted: int
    refused: int


def main(argv: list[str]) -> int:
    if len(argv) > 1 or not _BUNDLE.value:
        raise InputError(
            "command line", "--bundle is needed", "give an exported bundle"
        )
    logging.disable()
    parts = {"load": _load, "memory": _memory, "kills": _kills, "refusals": _refusals}
    for name in _PART.value:
        if name not in parts:
            raise InputError("--part", f"is {name!r}", f"of: {', '.join(parts)}")
        print(f"\n{name}: {machine.describe('pynetdicom', 'highdicom', 'onnxruntime')}")
        with tempfile.TemporaryDirectory() as folder:
            parts[name](pathlib.Path(folder))
    return 0


def _load(folder: pathlib.Path) -> None:
    bound = _bound(folder)
    with _destination(folder) as (flag, count):
        with running(_BUNDLE.value, folder, flag) as node:
            began = time.monotonic()
            sent = _send_all(node, _FILMS.value)
            received = time.monotonic() - began
            until(lambda: _done(node) == _FILMS.value, 7200)
            scored_in = time.monotonic() - began
            until(lambda: _is_idle(node), 3600)
            whole = time.monotonic() - began
            node.stop()
        rows = [
            ("films stored", f"{sent.stored:,}"),
            ("sendings aborted in the middle", f"{sent.aborted:,}"),
            ("refused", f"{sent.refused:,}"),
            ("rows of the journal", f"{_journal(node, 'films')}"),
            ("results of the journal", f"{_journal(node, 'results')}"),
            ("results at the destination", f"{count():,}"),
            ("received, films/s", f"{_FILMS.value / received:.1f}"),
            ("received and scored, films/s", f"{_FILMS.value / scored_in:.1f}"),
            ("all results sent, films/s", f"{_FILMS.value / whole:.1f}"),
            ("bound: decode and score, films/s", f"{bound[0]:.1f}"),
            ("bound: with the objects, films/s", f"{bound[1]:.1f}"),
        ]
        _show(rows)


def _bound(folder: pathlib.Path) -> tuple[float, float]:
    """Films/s of this process alone: decoded and scored; and with objects made."""
    bundle = load(_BUNDLE.value)
    path = folder / "film.dcm"
    film(0, side=_SIDE.value).save_as(path, enforce_file_format=True)
    times: list[list[float]] = [[], []]
    for _ in range(12):
        began = time.perf_counter()
        result = scored.score_film(bundle, path, "1.2.3", NO_GATE)
        times[0].append(time.perf_counter() - began)
        objects.make(pydicom.dcmread(path), result, bundle, _KINDS)
        times[1].append(time.perf_counter() - began)
    return tuple(1 / sorted(each[2:])[len(each[2:]) // 2] for each in times)  # type: ignore


def _send_all(node: Running, films: int, side: int = 0) -> Sent:
    """From all senders at once; what was aborted is sent again, as senders do."""
    numbers = iter(range(films))
    lock = threading.Lock()
    counts = {"stored": 0, "aborted": 0, "refused": 0}

    def sender(seed: int) -> None:
        rng = random.Random(seed)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            made = film(number, side=side or _SIDE.value)
            if rng.random() < _ABORTS.value:
                _abort(node.port, made, rng.random())
                counts["aborted"] += 1
            while send(node.port, [made]) != [0]:
                counts["refused"] += 1
                time.sleep(0.2)
            counts["stored"] += 1

    threads = [
        threading.Thread(target=sender, args=(k,)) for k in range(_SENDERS.value)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return Sent(**counts)


def _abort(port: int, made: pydicom.Dataset, share: float) -> None:
    """Sends a film up to a share of its bytes, and closes the connection."""
    association = open_association(port)
    if not association.is_established:
        return
    outer = association.dul.socket
    connection, whole = outer.socket, []
    outer.send = whole.append
    threading.Thread(target=lambda: association.send_c_store(made), daemon=True).start()
    size = len(made.PixelData)
    until(lambda: sum(map(len, whole)) > size)
    data = b"".join(whole)
    with contextlib.suppress(OSError):
        connection.sendall(data[: int(share * len(data) * 0.9)])
        connection.shutdown(socket.SHUT_RDWR)
    association.abort()


@contextlib.contextmanager
def _destination(folder: pathlib.Path) -> Iterator[tuple[str, object]]:
    """(flag of the node, how many results there are), of Orthanc or of `Archive`."""
    if not shutil.which("Orthanc"):
        archive = Archive()
        flag = f"--send_to=ARCHIVE@127.0.0.1:{archive.port}"
        yield flag, lambda: sum(archive.got.values())
        archive.close()
        return
    dicom, rest = free_port(), free_port()
    config = {
        "Name": "bench",
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "DicomPort": dicom,
        "HttpPort": rest,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log
        )

    def count() -> int:
        url = f"http://127.0.0.1:{rest}/statistics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["CountInstances"]

    def is_up() -> bool:
        try:
            return count() >= 0
        except OSError:
            return False

    try:
        until(is_up)
        yield f"--send_to=ORTHANC@127.0.0.1:{dicom}", count
    finally:
        process.terminate()
        process.wait()


def _memory(folder: pathlib.Path) -> None:
    _show([("films", "node, MB", "scoring process, MB", "threads", "files")])
    with running(_BUNDLE.value, folder, "--keep_days=0") as node:
        steps = 10
        for step in range(steps):
            first = step * _MANY.value // steps
            count = (step + 1) * _MANY.value // steps - first
            _send_some(node, first, count)
            until(lambda: _is_idle(node), 3600)
            own = psutil.Process(node.process.pid)
            [child] = own.children()
            sizes = [each.memory_info().rss / 1e6 for each in (own, child)]
            row = f"{first + count:,}", *(f"{size:.0f}" for size in sizes)
            _show([(*row, str(own.num_threads()), str(own.num_fds()))])
        node.stop()


def _send_some(node: Running, first: int, count: int) -> None:
    for start in range(first, first + count, 50):
        end = min(start + 50, first + count)
        made = [film(number, side=256) for number in range(start, end)]
        if send(node.port, made) != [0] * len(made):
            raise AssertionError(f"films from {start} on were refused")


def _kills(folder: pathlib.Path) -> None:
    films = 3 * _KILLS.value
    found = killed(_BUNDLE.value, folder, _KILLS.value, films, seed=0)
    twice = sum(count > 1 for count in found.results.values())
    _show(
        [
            ("kills of a node at work", f"{found.kills}"),
            ("films acknowledged", f"{len(found.acknowledged)} of {films}"),
            ("acknowledged and lost", f"{len(found.acknowledged - found.scored)}"),
            ("scored twice", f"{len(found.twice_scored)}"),
            ("results made", f"{len(found.expected)}"),
            ("results not sent", f"{len(found.expected - set(found.results))}"),
            ("results sent twice", f"{twice}"),
        ]
    )


def _refusals(folder: pathlib.Path) -> None:
    """Each film that should not be scored, what the sender is told, what is noted."""
    cases = {
        "colour": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
        "three frames": {"NumberOfFrames": 3},
        "no rows": {"Rows": 0},
        "more pixels than bytes": {"Rows": 5000},
        "12 bits in 32": {"BitsAllocated": 32},
        "no photometric interpretation": {"PhotometricInterpretation": ""},
        "a window of no width": {"WindowCenter": 100, "WindowWidth": 0},
    }
    made = {name: film(k, **tags) for k, (name, tags) in enumerate(cases.items(), 50)}
    made["no pixels"] = film(90)
    del made["no pixels"].PixelData
    made["another class than offered"] = film(91, SOPClassUID=EncapsulatedPDFStorage)
    with running(_BUNDLE.value, folder) as node:
        rows = [("film", "answer", "state", "reason")]
        for name, each in made.items():
            answer = send(node.port, [each], seconds=10)
            until(lambda: _is_idle(node))
            state, reason = _row(node, str(each.SOPInstanceUID))
            text = f"0x{answer[0]:04X}" if answer else "context refused"
            rows.append((name, text, state, reason.partition(" -> ")[0][:70]))
        node.stop()
    _show(rows)


def _row(node: Running, sop: str) -> tuple[str, str]:
    with contextlib.closing(sqlite3.connect(node.spool / "journal.sqlite")) as db:
        found = db.execute("SELECT state, reason FROM films WHERE sop = ?", (sop,))
        return found.fetchone() or ("not stored", "")


def _journal(node: Running, table: str) -> str:
    with contextlib.closing(sqlite3.connect(node.spool / "journal.sqlite")) as db:
        query = f"SELECT state, COUNT(*) FROM {table} GROUP BY state"
        return ", ".join(f"{n:,} {state}" for state, n in db.execute(query))


def _done(node: Running) -> int:
    text = node.ask("/metrics")[1]
    lines = [line for line in text.splitlines() if "_journal_films{" in line]
    return sum(int(float(line.split()[-1])) for line in lines if "received" not in line)


def _is_idle(node: Running) -> bool:
    text = node.ask("/metrics")[1]
    busy = ('films{kind="received"}', 'results{kind="waiting"}', "sending")
    return bool(text) and not any(word in text for word in busy)


def _show(rows: list[tuple[str, ...]]) -> None:
    """As a table of Markdown, for docs/node.md."""
    print("\n".join(f"| {' | '.join(row)} |" for row in rows), flush=True)


if __name__ == "__main__":
    command.run(main)
