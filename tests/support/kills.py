"""A node that is killed again and again while films come, and what is left at the end."""

import pathlib
import random
import sqlite3
import threading
import time
from typing import NamedTuple

import pydicom
from node_films import film
from nodes import Archive, Running, free_port, send, until


class Outcome(NamedTuple):
    """Attributes:
    kills: how many hit a node at work.
    acknowledged: UIDs of films of which the sender was told that they are stored.
    scored: UIDs of films that the journal calls scored.
    twice_scored: UIDs that have more than one row.
    results: {UID of a result: how often the archive got it}.
    expected: results that there should be.
    """

    kills: int
    acknowledged: set[str]
    scored: set[str]
    twice_scored: set[str]
    results: dict[str, int]
    expected: set[str]


def killed(bundle, folder: pathlib.Path, kills: int, films: int, seed: int) -> Outcome:
    """Sends films to a node that is killed at drawn moments, until all are stored.

    The sender repeats what was not acknowledged, as senders do.
    """
    rng = random.Random(seed)
    archive = Archive()
    port = free_port()
    flags = (f"--send_to=ARCHIVE@127.0.0.1:{archive.port}", "--kinds=sr,sc")
    waiting = {str(each.SOPInstanceUID): each for each in map(film, range(films))}
    acknowledged: set[str] = set()
    is_over = threading.Event()

    def sender() -> None:
        while waiting and not is_over.is_set():
            uid = next(iter(waiting))
            status = send(port, [waiting[uid]], seconds=5)
            if status == [0]:
                acknowledged.add(uid)
                del waiting[uid]
            else:
                time.sleep(0.05)

    thread = threading.Thread(target=sender, daemon=True)
    thread.start()
    hit = 0
    try:
        for _ in range(kills):
            node = Running(bundle, folder, *flags, port=port).wait_ready()
            time.sleep(rng.uniform(0.0, 1.2))
            hit += node.process.poll() is None
            node.kill()
        node = Running(bundle, folder, *flags, port=port).wait_ready()
        until(lambda: not waiting, 120 + 5 * films)
        until(lambda: _is_idle(node), 120 + 5 * films)
        assert node.stop() == 0
    finally:
        is_over.set()
        thread.join(30)
        archive.close()
        if node.process.poll() is None:
            node.kill()
    return _outcome(node, hit, acknowledged, archive)


def _is_idle(node: Running) -> bool:
    text = node.ask("/metrics")[1]
    busy = ('films{kind="received"}', 'results{kind="waiting"}', "sending")
    return bool(text) and not any(word in text for word in busy)


def _outcome(node: Running, hit: int, acknowledged, archive: Archive) -> Outcome:
    with sqlite3.connect(node.spool / "journal.sqlite") as db:
        rows = db.execute("SELECT sop, state FROM films").fetchall()
    paths = (node.spool / "results").rglob("*.dcm")
    made = {str(pydicom.dcmread(path).SOPInstanceUID) for path in paths}
    uids = [uid for uid, _ in rows]
    return Outcome(
        kills=hit,
        acknowledged=acknowledged,
        scored={uid for uid, state in rows if state == "scored"},
        twice_scored={uid for uid in uids if uids.count(uid) > 1},
        results=dict(archive.got),
        expected=made,
    )
