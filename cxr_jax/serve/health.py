"""What other programs of this machine may ask: /healthz, /readyz, /metrics."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable

from tfds_builders.common.errors import InputError

HOST = "127.0.0.1"
# Path -> (status, text).
Answers = dict[str, Callable[[], tuple[int, str]]]


def start(port: int, answers: Answers) -> http.server.ThreadingHTTPServer:
    """A server on this machine alone, in a thread of its own; port 0 for a free one.

    Raises:
      InputError: the port is taken.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        server_version, sys_version = "cxr_jax", ""
        timeout = 10

        def do_GET(self) -> None:
            """Answers in plain text."""
            answer = answers.get(self.path.partition("?")[0])
            status, text = answer() if answer else (404, "not found\n")
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args) -> None:
            """Nothing."""

    try:
        server = _Server((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            "--health_port",
            f"{port} cannot be used: {getattr(error, 'strerror', None) or error}",
            "give another; -1 for none",
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Whoever asked is gone."""
