"""`--mode=serve`: a DICOM node that scores what it is sent, until it is told to stop."""

from __future__ import annotations

import contextlib
import http.server
import sqlite3
import threading
import time
from functools import partial

from cxr_jax.bundle import loaded
from cxr_jax.devices.terminal import say
from cxr_jax.predict.overlay import RESEARCH
from cxr_jax.serve import acceptor, certificates, health, pseudonyms, tally
from cxr_jax.serve import spool as spool_lib
from cxr_jax.serve.acceptor import Acceptor
from cxr_jax.serve.delivery import Delivery
from cxr_jax.serve.intake import Intake
from cxr_jax.serve.journal import Journal
from cxr_jax.serve.node_log import note, quiet
from cxr_jax.serve.options import Options, check
from cxr_jax.serve.scorers import Scorers
from cxr_jax.serve.tally import Tally
from cxr_jax.train import signals
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.lock import locked

_SWEEP = 60.0  # seconds between removals of what is old


def serve(options: Options) -> int:
    """Runs the node until SIGTERM or Ctrl-C; returns the exit code.

    Raises:
      InputError: the bundle, a folder, a certificate or a port cannot be used.
    """
    check(options)
    if not loaded.is_bundle(options.bundle):
        raise InputError(
            options.bundle,
            "holds no bundle",
            "give the folder that --mode=export made as --bundle",
        )
    quiet()
    threading.excepthook = acceptor.thread_failed
    spool = spool_lib.open_spool(options.spool)
    if options.out is not None:
        with files.explained(options.out):
            options.out.mkdir(parents=True, exist_ok=True)
    with locked(spool.path / spool_lib.LOCK, partial(_busy, spool)):
        journal = Journal(spool.path)
        with contextlib.closing(journal), signals.listening() as request:
            left = spool_lib.recover(spool, journal)
            node = Node(options, spool, journal)
            note("ready", port=node.acceptor.port, removed=left)
            say(_words(options, node))
            _wait(node, request)
            note("draining")
            node.close()
            note("stopped")
    return request.exit_code


def _busy(spool: spool_lib.Spool) -> None:
    raise InputError(
        spool.path, "another node uses this spool", "end it, or give another --spool"
    )


def _words(options: Options, node: Node) -> str:
    to = options.send_to or options.out
    where = f"{options.host}:{node.acceptor.port}"
    lines = [f"{options.aet} listens on {where}; results go to {to}."]
    if node.health is not None:
        url = f"http://{health.HOST}:{node.health.server_port}"
        lines.append(f"{url}/healthz, {url}/readyz, {url}/metrics")
    return "\n".join([*lines, RESEARCH])


def _wait(node: Node, request: signals.StopRequest) -> None:
    swept = -_SWEEP
    while not request.signal:
        time.sleep(0.1)
        if time.monotonic() - swept > _SWEEP:
            swept = time.monotonic()
            node.sweep()


class Node:
    """All parts of a node, at work once it is made."""

    def __init__(self, options: Options, spool: spool_lib.Spool, journal: Journal):
        self._options, self._spool, self._journal = options, spool, journal
        key = pseudonyms.key_of(spool.path)
        name = partial(pseudonyms.pseudonym, key)
        server_tls = client_tls = None
        if options.tls is not None:
            server_tls = certificates.of_server(options.tls)
            if options.send_tls:
                client_tls = certificates.of_client(options.tls)
        self.tally = Tally()
        self._is_draining = False
        self._delivery = Delivery(options, client_tls, spool, journal, self.tally, name)
        self._scorers = Scorers(
            options, spool, journal, self.tally, name, self._delivery.came
        )
        intake = Intake(spool, journal, options.keeping, options.limits)
        self.acceptor = Acceptor(
            options, server_tls, intake.receive, self._scorers.came, self.tally, name
        )
        self.health: http.server.ThreadingHTTPServer | None = None
        if options.health_port >= 0:
            answers = {
                "/healthz": self._is_healthy,
                "/readyz": self._is_ready,
                "/metrics": self._metrics,
            }
            self.health = health.start(options.health_port, answers)

    def sweep(self) -> None:
        """Removes what is old."""
        try:
            gone = spool_lib.remove_old(
                self._spool, self._journal, self._options.keeping, time.time()
            )
        except (OSError, sqlite3.Error) as error:
            note("nothing can be removed", why=str(error))
            return
        if gone:
            note("removed", films=gone)

    def close(self) -> None:
        """Ends what is under way, and no more."""
        self._is_draining = True
        until = time.monotonic() + self._options.drain_seconds
        for part in (self.acceptor, self._scorers, self._delivery):
            part.close(max(1.0, until - time.monotonic()))
        if self.health is not None:
            self.health.shutdown()
            self.health.server_close()

    def _is_healthy(self) -> tuple[int, str]:
        parts = {
            "receiving": self.acceptor.is_listening or self._is_draining,
            "scoring": self._scorers.is_alive or self._is_draining,
            "sending": self._delivery.is_alive or self._is_draining,
        }
        return _answer(name for name, works in parts.items() if not works)

    def _is_ready(self) -> tuple[int, str]:
        lack = spool_lib.lack(self._spool, self._journal, self._options.keeping, 0)
        parts = {
            "draining": self._is_draining,
            "no scorer": not self._scorers.ready,
            lack: bool(lack),
        }
        return _answer(name for name, is_so in parts.items() if is_so)

    def _metrics(self) -> tuple[int, str]:
        oldest = self._journal.oldest_waiting()
        gauges = [
            ("associations", "", float(self.acceptor.associations)),
            ("scorers_ready", "", float(self._scorers.ready)),
            ("spool_bytes", "", float(self._journal.kept_bytes())),
            ("oldest_film_seconds", "", time.time() - oldest if oldest else 0.0),
        ]
        for table, states in self._journal.counts().items():
            gauges += [
                (f"journal_{table}", state, float(n)) for state, n in states.items()
            ]
        return 200, tally.text(self.tally.counts(), gauges)


def _answer(faults) -> tuple[int, str]:
    found = list(faults)
    return (503, ", ".join(found) + "\n") if found else (200, "ok\n")
