"""Connections that end when a peer is too slow, or sends too much.

pynetdicom reads a protocol data unit to its end, however long that takes and whatever
its length says; the guard is therefore in the socket.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from cxr_jax.serve.options import Limits

_OVERHEAD = 1.05  # of the headers of protocol data units
_HEADERS = 1 << 16  # bytes of an association request, and of a command


class Guard:
    """What both kinds of connection have."""

    limits: Limits = Limits()
    ended: Callable[[str], None] | None = None
    _began: float | None = None
    _taken = 0

    def restart(self) -> None:
        """A message is complete: the next one has all its time and bytes."""
        self._began, self._taken = None, 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As of a socket, within the limits. Errors: OSError beyond them."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        left = self._began + self.limits.object_seconds - now
        if left <= 0:
            raise self._end("too slow")
        self.settimeout(min(left, self.limits.idle_seconds))  # type: ignore
        try:
            data = super().recv(size, flags)  # type: ignore
        except TimeoutError:
            raise self._end("too slow") from None
        self._taken += len(data)
        if self._taken > _OVERHEAD * self.limits.object_bytes + 2 * _HEADERS:
            raise self._end("too large")
        return data

    def _end(self, why: str) -> OSError:
        if self.ended is not None:
            self.ended(why)
        with contextlib.suppress(OSError):  # pynetdicom takes it for closed
            self.shutdown(socket.SHUT_RDWR)  # type: ignore
        return ConnectionAbortedError(why)


class Guarded(Guard, socket.socket):
    """A guarded connection."""


class GuardedTls(Guard, ssl.SSLSocket):  # type: ignore
    """The same, encrypted."""


def guard(
    connection: socket.socket,
    limits: Limits,
    tls: ssl.SSLContext | None,
    ended: Callable[[str], None],
) -> Guarded | GuardedTls:
    """A connection that was accepted, guarded, after its handshake.

    Args:
      connection: is used up.
      limits: of peers.
      tls: with `sslsocket_class` GuardedTls, or None.
      ended: is told why, when a limit ends it.

    Errors: OSError, ssl.SSLError where there is no handshake in time.
    """
    if tls is not None:
        connection.settimeout(limits.opening_seconds)  # of the whole handshake
        made = tls.wrap_socket(connection, server_side=True)
        assert isinstance(made, GuardedTls)
    else:
        made = Guarded(fileno=connection.detach())
    made.limits, made.ended = limits, ended
    return made
