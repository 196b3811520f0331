"""What became of each film and of each result: SQLite, with a write-ahead log.

A row is on the disk when the method that writes it returns (synchronous=FULL).
States of a film: received, then one of scored, refused (cannot be read) and failed (its
scoring crashed or took too long). States of a result: waiting, sending, then sent or
abandoned. 'sending' that is found at a start was cut off: nobody knows whether it
arrived.
"""

from __future__ import annotations

import pathlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tfds_builders.common.errors import InputError

FILE = "journal.sqlite"
RECEIVED, SCORED, REFUSED, FAILED = "received", "scored", "refused", "failed"
WAITING, SENDING, SENT, ABANDONED = "waiting", "sending", "sent", "abandoned"
_VERSION = 1
_TABLES = """
CREATE TABLE films (
  id INTEGER PRIMARY KEY, sop TEXT NOT NULL, digest TEXT NOT NULL,
  bytes INTEGER NOT NULL, caller TEXT NOT NULL, state TEXT NOT NULL,
  gate TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
  crashes INTEGER NOT NULL DEFAULT 0, received REAL NOT NULL, finished REAL,
  kept INTEGER NOT NULL DEFAULT 1, result_bytes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (sop, digest));
CREATE INDEX films_by_state ON films (state, id);
CREATE INDEX films_kept ON films (kept, finished);
CREATE TABLE results (
  id INTEGER PRIMARY KEY, film INTEGER NOT NULL REFERENCES films (id),
  sop TEXT NOT NULL, sop_class TEXT NOT NULL, file TEXT NOT NULL,
  digest TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL, reason TEXT NOT NULL DEFAULT '', sent REAL,
  UNIQUE (sop, digest));
CREATE INDEX results_by_state ON results (state, due);
CREATE INDEX results_by_film ON results (film);
"""
_UNSENT = f"('{WAITING}', '{SENDING}')"
_DONE = (
    f"films.state <> '{RECEIVED}' AND NOT EXISTS (SELECT 1 FROM results WHERE "
    f"results.film = films.id AND results.state IN {_UNSENT})"
)


class FilmRow(NamedTuple):
    """A film of the journal; `file` is its name in the spool."""

    id: int
    sop: str
    digest: str
    state: str
    crashes: int
    kept: bool

    @property
    def file(self) -> str:
        """Of the films of the spool."""
        return f"{self.digest}.dcm"


class ResultRow(NamedTuple):
    """A result of the journal; `file` is its path in the spool."""

    id: int
    film: int
    sop: str
    sop_class: str
    file: str
    digest: str
    state: str
    tries: int
    received: float


class Made(NamedTuple):
    """A result that lies in the spool: uids, path in the spool, SHA-256, size."""

    sop: str
    sop_class: str
    file: str
    digest: str
    bytes: int


class Journal:
    """The journal of a spool; its methods may be called from any thread."""

    def __init__(self, spool: pathlib.Path):
        """Opens it, or makes it. Raises InputError where it is damaged or newer."""
        path = spool / FILE
        self._lock = threading.RLock()
        try:
            self._open(path)
        except sqlite3.Error as error:
            raise InputError(
                path,
                f"cannot be read: {error}",
                "restore it; or move the whole spool away, and send the films again",
            ) from None

    def _open(self, path: pathlib.Path) -> None:
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA foreign_keys=ON")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise InputError(
                path,
                f"is of format {version}, and this version reads {_VERSION}",
                "use the version of cxr_jax that wrote it",
            )
        if version < _VERSION:
            self._db.executescript(
                f"BEGIN;{_TABLES}PRAGMA user_version={_VERSION};COMMIT;"
            )

    def close(self) -> None:
        """Closes it; what was written stays."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values) -> list[tuple]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # Films.

    def film(self, sop: str, digest: str) -> FilmRow | None:
        """The film of that instance and content, or None."""
        found = self._films("WHERE sop = ? AND digest = ?", sop, digest)
        return found[0] if found else None

    def received(self, most: int) -> list[FilmRow]:
        """The films that wait for their scores, oldest first."""
        return self._films("WHERE state = ? ORDER BY id LIMIT ?", RECEIVED, most)

    def _films(self, where: str, *values) -> list[FilmRow]:
        names = ", ".join(FilmRow._fields)
        return [
            FilmRow(*row)
            for row in self._rows(f"SELECT {names} FROM films {where}", *values)
        ]

    def add(self, sop: str, digest: str, size: int, caller: str, now: float) -> bool:
        """Notes a film that lies in the spool.

        Returns:
          False where it waits already or has been scored. One whose scoring failed is
          tried again.
        """
        with self._writing() as db:
            added = db.execute(
                "INSERT INTO films (sop, digest, bytes, caller, state, received) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = "
                "excluded.state, crashes = 0, reason = '', kept = 1, finished = NULL "
                "WHERE films.state = ?",
                (sop, digest, size, caller, RECEIVED, now, FAILED),
            )
            return added.rowcount > 0

    def scored(self, film: int, gate: str, made: Sequence[Made], now: float) -> None:
        """Notes the results of a film, which wait to be sent."""
        with self._writing() as db:
            self._finish(db, film, SCORED, "", now)
            db.execute(
                "UPDATE films SET gate = ?, result_bytes = ? WHERE id = ?",
                (gate, sum(each.bytes for each in made), film),
            )
            db.executemany(
                "INSERT INTO results (film, sop, sop_class, file, digest, state, due) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(film, *each[:4], WAITING, now) for each in made],
            )

    def unscored(self, film: int, state: str, reason: str, now: float) -> None:
        """Notes that a film has no results. state: REFUSED or FAILED."""
        with self._writing() as db:
            self._finish(db, film, state, reason, now)

    def _finish(self, db, film: int, state: str, reason: str, now: float) -> None:
        done = db.execute(
            "UPDATE films SET state = ?, reason = ?, finished = ? WHERE id = ? AND "
            "state = ?",
            (state, reason, now, film, RECEIVED),
        )
        if done.rowcount != 1:
            raise ValueError(f"film {film} is finished already")

    def crashed(self, film: int) -> int:
        """Notes that a film ended the process that scored it; returns how often."""
        with self._writing() as db:
            [(count,)] = db.execute(
                "UPDATE films SET crashes = crashes + 1 WHERE id = ? RETURNING crashes",
                (film,),
            ).fetchall()
            return count

    # Results.

    def due(self, now: float, most: int) -> list[ResultRow]:
        """Results to be sent now, oldest first."""
        columns = ", ".join(f"results.{name}" for name in ResultRow._fields[:-1])
        rows = self._rows(
            f"SELECT {columns}, films.received FROM results JOIN films ON films.id = "
            f"results.film WHERE results.state IN {_UNSENT} AND due <= ? "
            "ORDER BY results.id LIMIT ?",
            *(now, most),
        )
        return [ResultRow(*row) for row in rows]

    def sending(self, result: int) -> None:
        """Notes that a result is on its way from now on."""
        self._set(result, SENDING)

    def sent(self, result: int, now: float) -> None:
        """Notes that a result has arrived."""
        self._set(result, SENT, sent=now, reason="")

    def postponed(self, result: int, due: float, reason: str) -> None:
        """Notes that a result did not arrive, and when to try again."""
        with self._writing() as db:
            db.execute("UPDATE results SET tries = tries + 1 WHERE id = ?", (result,))
            self._change(db, result, state=WAITING, due=due, reason=reason)

    def abandoned(self, result: int, reason: str) -> None:
        """Notes that a result is not tried again."""
        self._set(result, ABANDONED, reason=reason)

    def _set(self, result: int, state: str, **values) -> None:
        with self._writing() as db:
            self._change(db, result, state=state, **values)

    def _change(self, db, result: int, **values) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        db.execute(
            f"UPDATE results SET {names} WHERE id = ?", (*values.values(), result)
        )

    # Keeping.

    def digests(self) -> set[str]:
        """Of the films whose files are kept."""
        return {row[0] for row in self._rows("SELECT digest FROM films WHERE kept")}

    def kept_bytes(self) -> int:
        """Of films and results in the spool."""
        [(size,)] = self._rows(
            "SELECT COALESCE(SUM(bytes + result_bytes), 0) FROM films WHERE kept"
        )
        return size

    def finished(self, before: float, most: int) -> list[FilmRow]:
        """Films that are kept though nothing is left to do, oldest first."""
        return self._films(
            f"WHERE kept AND finished < ? AND {_DONE} ORDER BY finished LIMIT ?",
            *(before, most),
        )

    def removed(self, film: int) -> bool:
        """Notes that the files of a film are about to go; False where it is in use."""
        with self._writing() as db:
            done = db.execute(
                f"UPDATE films SET kept = 0 WHERE id = ? AND {_DONE}", (film,)
            )
            return done.rowcount == 1

    def forget(self, before: float) -> int:
        """Removes the rows of films that are no longer kept; returns how many."""
        with self._writing() as db:
            old = "SELECT id FROM films WHERE NOT kept AND finished < ?"
            db.execute(f"DELETE FROM results WHERE film IN ({old})", (before,))
            gone = db.execute(f"DELETE FROM films WHERE id IN ({old})", (before,))
            return gone.rowcount

    def counts(self) -> dict[str, dict[str, int]]:
        """{'films' or 'results': {state: how many}}."""
        return {
            table: dict(
                self._rows(f"SELECT state, COUNT(*) FROM {table} GROUP BY state")
            )
            for table in ("films", "results")
        }

    def oldest_waiting(self) -> float | None:
        """When the oldest film came that has no scores yet; None without one."""
        rows = self._rows(
            "SELECT received FROM films WHERE state = ? ORDER BY id LIMIT 1", RECEIVED
        )
        return rows[0][0] if rows else None
