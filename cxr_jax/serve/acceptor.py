"""The DICOM server: who may connect, what is offered, what becomes of each message."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from pynetdicom import AE, _config, evt
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

from cxr_jax.serve import guarded, offered
from cxr_jax.serve.intake import NO_ROOM, SUCCESS, Answer
from cxr_jax.serve.node_log import note
from cxr_jax.serve.options import Options
from cxr_jax.serve.rates import Rates
from cxr_jax.serve.tally import Tally
from tfds_builders.common.errors import InputError

_LONGEST_WAIT = 10.0  # seconds that a sender above its rate is kept waiting
_LINES = 6  # of the log in a minute about one address that is turned away
_POLL = 0.1  # seconds until the server notices that it is to end
Receive = Callable[[Any, str], Answer]


class Acceptor:
    """A server that listens once it is made.

    Args:
      options: of the node.
      tls: of `certificates.of_server`, or None.
      receive: stores a film; of `intake.Intake`.
      came: is told of each new film.
      tally: counts.
      name: makes a pseudonym of an instance.

    Raises:
      InputError: it cannot listen there.
    """

    def __init__(
        self,
        options: Options,
        tls: ssl.SSLContext | None,
        receive: Receive,
        came: Callable[[], None],
        tally: Tally,
        name: Callable[[str], str],
    ):
        self._options, self._receive, self._came = options, receive, came
        self._tally, self._name = tally, name
        limits = options.limits
        self._films = Rates(limits.films_per_minute, time.monotonic)
        self._lines = Rates(_LINES, time.monotonic)
        _config.LOG_HANDLER_LEVEL = "none"
        ae = AE(ae_title=options.aet)
        ae.maximum_pdu_size = limits.pdu_bytes
        ae.maximum_associations = limits.associations
        ae.network_timeout = ae.dimse_timeout = limits.idle_seconds
        ae.acse_timeout = limits.opening_seconds
        ae.require_called_aet = True
        ae.require_calling_aet = list(options.calling)
        self._server = _server(ae, options, tls, self._handlers(), self._turned_away)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_address[1]

    @property
    def is_listening(self) -> bool:
        """Whether it takes associations."""
        return self._thread.is_alive()

    @property
    def associations(self) -> int:
        """How many there are."""
        return len(self._server.active_associations)

    def close(self, seconds: float) -> None:
        """Takes no more associations, and lets those that are open end in time."""
        self._server.shutdown()
        until = time.monotonic() + seconds
        while self._server.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        for each in self._server.active_associations:
            each.abort()

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ABORTED, self._aborted),
            (evt.EVT_DIMSE_RECV, self._complete),
        ]

    def _store(self, event) -> int:
        peer = event.assoc.requestor.address
        caller = event.assoc.requestor.ae_title
        slept = 0.0
        while wait := self._films.wait(peer):
            if slept + wait > _LONGEST_WAIT:
                answer = Answer(NO_ROOM, "too many")
                break
            time.sleep(wait)
            slept += wait
        else:
            answer = self._receive(event, caller)
        kind = answer.why if answer.status == SUCCESS else f"0x{answer.status:04X}"
        self._tally.add("stored", kind)
        film = self._name(answer.sop) if answer.sop else ""
        data = event.request.DataSet
        size = len(data.getvalue()) if data else 0
        note(
            "stored" if answer.status == SUCCESS else "refused",
            film=film,
            status=f"0x{answer.status:04X}",
            why=answer.why,
            bytes=size,
            caller=caller,
            peer=peer,
        )
        if answer.why == "new":
            self._came()
        return answer.status

    def _accepted(self, event) -> None:
        self._restart(event)
        self._tally.add("associations", "accepted")

    def _rejected(self, event) -> None:
        self._tally.add("associations", "rejected")
        requestor = event.assoc.requestor
        note("rejected", caller=requestor.ae_title, peer=requestor.address)

    def _aborted(self, event) -> None:
        self._tally.add("associations", "aborted")
        requestor = event.assoc.requestor
        note("aborted", caller=requestor.ae_title, peer=requestor.address)

    def _complete(self, event) -> None:
        self._restart(event)

    def _restart(self, event) -> None:
        outer = event.assoc.dul.socket
        if outer is not None and isinstance(outer.socket, guarded.Guard):
            outer.socket.restart()

    def _turned_away(self, address: str, why: str) -> None:
        self._tally.add("connections_refused", why)
        if not self._lines.wait(f"{address} {why}"):  # who floods us, not the log
            note("connection refused", peer=address, why=why)


def _server(ae, options: Options, tls, handlers, turned_away) -> _Server:
    try:
        server = ae.make_server(
            (options.host, options.port),
            contexts=offered.contexts(),
            evt_handlers=handlers,
            server_class=_Server,
        )
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--host={options.host} --port={options.port}",
            f"cannot listen there: {getattr(error, 'strerror', None) or error}",
            "give another, or end what listens there; below 1024 is for root",
        ) from None
    server = cast(_Server, server)
    server.prepare(options, tls, turned_away)
    ae._servers.append(server)  # shutdown() takes it from there
    return server


class _Server(ThreadedAssociationServer):
    """Turns connections away before anything is read from them."""

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def prepare(
        self,
        options: Options,
        tls: ssl.SSLContext | None,
        turned_away: Callable[[str, str], None],
    ) -> None:
        """To be called before it serves."""
        self._options, self._tls, self._turned_away = options, tls, turned_away
        self._rates = Rates(options.limits.associations_per_minute, time.monotonic)
        self._opening: dict[int, str] = {}  # handshakes that are going on

    def get_request(self):
        """The connection as it is; the handshake of TLS is left to its own thread."""
        return cast(socket.socket, self.socket).accept()

    def verify_request(self, request, client_address) -> bool:
        """Whether this address may connect now."""
        address = str(client_address[0])
        why = self._objection(address)
        if why:
            self._turned_away(address, why)
        return not why

    def _objection(self, address: str) -> str:
        if not may_call(address, self._options):
            return "address"
        if self._rates.wait(address):
            return "rate"
        most = self._options.limits.associations
        there = [each.requestor.address for each in self.active_associations]
        there += list(self._opening.values())
        # So that connections that only open leave room for other machines, and enough
        # associations above the limit are told so.
        if len(there) >= 2 * most or there.count(address) >= max(most * 3 // 4, 1):
            return "connections"
        return ""

    def finish_request(self, request, client_address) -> None:
        """In a thread of its own."""
        address = str(client_address[0])
        key = id(request)
        self._opening[key] = address
        try:
            made = guarded.guard(
                cast(socket.socket, request),
                self._options.limits,
                self._tls,
                lambda why: self._turned_away(address, why),
            )
            super().finish_request(made, client_address)
        except OSError:  # of the handshake, and of a peer that is gone already
            self._turned_away(address, "handshake")
            self.shutdown_request(request)
        finally:
            del self._opening[key]

    def handle_error(self, request, client_address) -> None:
        """A fault of ours must not end the server, nor print what it was about."""
        self._turned_away(str(client_address[0]), "internal error")


def thread_failed(arguments: threading.ExceptHookArgs) -> None:
    """For `threading.excepthook`: ends an association that pynetdicom fails in.

    It does so where a message has no valid command, and would leave the connection open
    and print what it met.
    """
    error = arguments.exc_type.__name__
    note("thread failed", error=error)
    connection = getattr(arguments.thread, "socket", None)
    if isinstance(connection, AssociationSocket):
        connection.close()


def may_call(address: str, options: Options) -> bool:
    """Whether an address is on the list of --peers; without one, of this machine."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if not options.peers:
        return found.is_loopback
    return any(found in network for network in options.peers)
