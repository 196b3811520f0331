"""Results on their way out: each once, and again and again until it is there."""

from __future__ import annotations

import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from cxr_jax.serve import to_folder, to_peer, to_web
from cxr_jax.serve.journal import Journal, ResultRow
from cxr_jax.serve.node_log import note
from cxr_jax.serve.options import Options, Web
from cxr_jax.serve.spool import Spool
from cxr_jax.serve.tally import Tally

_AT_ONCE = 50  # results of one association
_LOOK = 1.0  # seconds, for results whose time has come
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0
Outcomes = Iterator[tuple[ResultRow, str]]


def pause(tries: int) -> float:
    """Seconds until the next try, twice as long each time: 5, 10, ..., 600."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(tries, 20))


class Delivery:
    """A thread that sends what the journal says is due.

    Args:
      options: of the node.
      tls: of `certificates.of_client`, or None.
      spool, journal: of the node.
      tally: counts.
      name: makes a pseudonym of an instance.
    """

    def __init__(
        self,
        options: Options,
        tls: ssl.SSLContext | None,
        spool: Spool,
        journal: Journal,
        tally: Tally,
        name: Callable[[str], str],
    ):
        self._options, self._tls, self._spool = options, tls, spool
        self._journal, self._tally, self._name = journal, tally, name
        self._event = threading.Event()
        self._is_closed = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether results are sent."""
        return self._thread.is_alive()

    def came(self) -> None:
        """There are new results in the journal."""
        self._event.set()

    def close(self, seconds: float) -> None:
        """Ends after the result that is being sent."""
        self._is_closed = True
        self._event.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._is_closed:
            rows: list[ResultRow] = []
            try:
                rows = self._journal.due(time.time(), _AT_ONCE)
                if not rows:
                    self._event.wait(_LOOK)
                    self._event.clear()
                    continue
                self._deliver(rows)
                self._failures = 0
            except to_peer.Unreachable as error:
                self._give_up(rows, str(error))
                self._rest(str(error))
            except sqlite3.Error as error:
                self._rest(f"the journal cannot be written: {error}")

    def _rest(self, why: str) -> None:
        seconds = pause(self._failures)
        self._failures += 1
        note("nothing can be sent", why=why, seconds=seconds)
        self._tally.add("send_failures", "destination")
        until = time.monotonic() + seconds
        while not self._is_closed and time.monotonic() < until:
            time.sleep(0.1)

    def _deliver(self, rows: Sequence[ResultRow]) -> None:
        outcomes = self._outcomes(rows)
        try:
            for row, why in outcomes:
                self._note(row, why)
                if self._is_closed:
                    return
        finally:
            outcomes.close()  # type: ignore[attr-defined]

    def _outcomes(self, rows: Sequence[ResultRow]) -> Outcomes:
        options = self._options
        if options.send_to is None:
            assert options.out is not None
            return to_folder.deliver(options.out, self._spool, rows)

        def begin(row: ResultRow) -> None:
            self._journal.sending(row.id)

        if isinstance(options.send_to, Web):
            tls = options.tls
            return to_web.deliver(options.send_to, tls, self._spool, rows, begin)
        return to_peer.deliver(
            options.send_to,
            options.aet,
            self._tls,
            self._spool,
            rows,
            begin,
        )

    def _note(self, row: ResultRow, why: str) -> None:
        if why:
            self._tally.add("send_failures", "result")
            self._postpone(row, why)
            return
        self._journal.sent(row.id, time.time())
        self._tally.add("results", "sent")
        note("sent", result=self._name(row.sop), tries=row.tries + 1)

    def _postpone(self, row: ResultRow, why: str) -> None:
        if self._is_too_old(row):
            return self._abandon(row, why)
        due = time.time() + pause(row.tries)
        self._journal.postponed(row.id, due, why)
        note("not sent", result=self._name(row.sop), why=why, tries=row.tries + 1)
        return None

    def _give_up(self, rows: Sequence[ResultRow], why: str) -> None:
        for row in rows:
            if self._is_too_old(row):
                self._abandon(row, why)

    def _is_too_old(self, row: ResultRow) -> bool:
        return time.time() - row.received > 3600 * self._options.give_up_hours

    def _abandon(self, row: ResultRow, why: str) -> None:
        self._journal.abandoned(row.id, why)
        self._tally.add("results", "abandoned")
        note("abandoned", result=self._name(row.sop), why=why)
