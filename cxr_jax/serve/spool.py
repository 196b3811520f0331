"""The folder of a node: films that came, results to be sent, and what they may take."""

from __future__ import annotations

import pathlib
import shutil
import threading
from typing import NamedTuple

from cxr_jax.serve.journal import FilmRow, Journal
from cxr_jax.serve.options import Keeping
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

LOCK = ".lock"
_LEFT_OVER = ".*.tmp"  # of files.write_bytes, when it was killed
_AT_ONCE = 200  # films that are removed in one go
_DAY = 86400.0
# Of the films by the first byte of their digest.
_LOCKS = tuple(threading.Lock() for _ in range(256))


class Spool(NamedTuple):
    """Its folders, which nobody but this user may enter."""

    path: pathlib.Path

    @property
    def films(self) -> pathlib.Path:
        """DIGEST.dcm, each as it came."""
        return self.path / "films"

    @property
    def results(self) -> pathlib.Path:
        """A folder DIGEST for each film."""
        return self.path / "results"

    def results_of(self, digest: str) -> pathlib.Path:
        """The folder of the results of one film."""
        return self.results / digest

    def film(self, row: FilmRow) -> pathlib.Path:
        """The file of a film."""
        return self.films / row.file


def open_spool(path: pathlib.Path) -> Spool:
    """Makes its folders where they are missing.

    Raises:
      InputError: it cannot be written, or is another folder that holds something.
    """
    spool = Spool(path)
    if path.is_dir() and any(path.iterdir()) and not spool.films.is_dir():
        raise InputError(
            path, "holds other files, and is no spool", "give a new folder as --spool"
        )
    for folder in (path, spool.films, spool.results):
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
    return spool


def holding(digest: str) -> threading.Lock:
    """What keeps two threads from writing and removing one film at a time."""
    return _LOCKS[int(digest[:2], 16)]


def store(spool: Spool, digest: str, content: bytes) -> None:
    """Writes a film so that it outlives a power failure.

    Raises:
      InputError: as of `files.write_bytes`; nothing of it is left then.
      OSError: as of `files.sync_folder`.
    """
    files.write_bytes(spool.films / f"{digest}.dcm", content)
    files.sync_folder(spool.films)


def discard(spool: Spool, digest: str) -> None:
    """Removes a film that the journal could not note."""
    (spool.films / f"{digest}.dcm").unlink(missing_ok=True)


def recover(spool: Spool, journal: Journal) -> int:
    """Removes what a kill left half done, none of which was acknowledged.

    Returns:
      How many films and folders of results went.
    """
    known = journal.digests()
    gone = 0
    for path in [*spool.path.rglob(_LEFT_OVER)]:
        path.unlink()
    for path in list(spool.films.iterdir()):
        if path.stem not in known:
            path.unlink()
            gone += 1
    for path in list(spool.results.iterdir()):
        if path.name not in known:
            shutil.rmtree(path)
            gone += 1
    return gone


def lack(spool: Spool, journal: Journal, keeping: Keeping, size: int) -> str:
    """Why there is no room for so many bytes, or ''."""
    if shutil.disk_usage(spool.path).free - size < keeping.free_bytes:
        return "disk full"
    if journal.kept_bytes() + size > keeping.spool_bytes:
        return "spool full"
    return ""


def remove_old(spool: Spool, journal: Journal, keeping: Keeping, now: float) -> int:
    """Removes finished films and results beyond their days; forgets old rows.

    Returns:
      How many films.
    """
    gone = _remove(spool, journal, now - keeping.days * _DAY)
    journal.forget(now - keeping.journal_days * _DAY)
    return gone


def make_room(spool: Spool, journal: Journal, now: float) -> int:
    """Removes the oldest finished films and results, before their days are over."""
    return _remove(spool, journal, now)


def _remove(spool: Spool, journal: Journal, before: float) -> int:
    rows = journal.finished(before, _AT_ONCE)
    gone = 0
    for row in rows:
        with holding(row.digest):
            if not journal.removed(row.id):
                continue  # it came again in the meantime
            spool.film(row).unlink(missing_ok=True)
            shutil.rmtree(spool.results_of(row.digest), ignore_errors=True)
            gone += 1
    return gone
