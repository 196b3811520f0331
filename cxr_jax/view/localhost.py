"""A server of one bundle for the browser of this machine."""

from __future__ import annotations

import contextlib
import errno
import http.server
import pathlib
import threading
import time
from functools import partial

from cxr_jax.devices.terminal import say
from cxr_jax.train import signals
from cxr_jax.view import content
from tfds_builders.common.errors import InputError

HOST = "127.0.0.1"
# One of its own, so that an installed page finds its bundle again.
PORT = 8118
_CHUNK = 1 << 20
_NAMES = ("localhost", HOST, "[::1]")


def serve(bundle: pathlib.Path, port: int = 0) -> int:
    """Serves a bundle until Ctrl-C; returns the exit code.

    Args:
      port: 0 for PORT, or any free one where that is taken.

    Raises:
      InputError: the folder is not a bundle, or the port is taken.
    """
    check_bundle(bundle)
    server = open_server(bundle, port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    with signals.listening() as request, contextlib.closing(server.socket):
        thread.start()
        say(f"Open http://{HOST}:{server.server_port}/web/ in a browser.")
        say("For research only; no medical device. Ctrl-C ends it.")
        while not request.signal:
            time.sleep(0.1)
        server.shutdown()
    return 0


def check_bundle(bundle: pathlib.Path) -> None:
    """Raises InputError where a folder is not a bundle."""
    if not (bundle / "bundle.json").is_file():
        found = "holds no bundle.json" if bundle.is_dir() else "is not a folder"
        raise InputError(
            bundle,
            found,
            "give the folder that --mode=export --checkpoint=RUN --output=FOLDER made",
        )


def open_server(bundle: pathlib.Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server on this machine alone; see `serve`."""
    handler = partial(_Handler, bundle.resolve())
    for number in [port] if port else [PORT, 0]:
        try:
            return _Server((HOST, number), handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES) or not number:
                raise
            if port:
                raise InputError(
                    "--port", f"{port} is taken", "give another, or omit it"
                ) from None
        except OverflowError:
            raise InputError(
                "--port", f"there is no port {port}", "give one from 1024 to 65535"
            ) from None
    raise AssertionError("port 0 is always free")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Browsers close connections in the middle of a file; that is not an error."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server_version, sys_version = "cxr_jax", ""
    protocol_version = "HTTP/1.1"

    def __init__(self, bundle: pathlib.Path, *arguments):
        self._bundle = bundle
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answers with a file, a part of it, or why not."""
        # Another site's name for this machine would make its page one of this origin.
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in _NAMES:
            return self._refuse(421, "this server answers to localhost only")
        if self.path.partition("?")[0] in ("/", "/web"):
            return self._answer(302, {"Location": "/web/"})
        path = content.locate(self._bundle, self.path)
        if path is None:
            return self._refuse(404, "no such file in this bundle")
        try:
            with open(path, "rb") as file:
                self._send(path, file)
        except OSError:
            self._refuse(404, "a file that cannot be read")
        return None

    do_HEAD = do_GET

    def _send(self, path: pathlib.Path, file) -> None:
        about = path.stat()
        tag = f'"{about.st_mtime_ns:x}-{about.st_size:x}"'
        told = {**content.headers(path), "ETag": tag}
        if self.headers.get("If-None-Match") == tag:
            return self._answer(304, told)
        part = content.part_of(self.headers.get("Range"), about.st_size)
        if part is None:
            return self._answer(416, {"Content-Range": f"bytes */{about.st_size}"})
        length = part.end - part.start
        told["Content-Length"] = str(length)
        status = 200
        if length < about.st_size:
            status = 206
            told["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{about.st_size}"
        self._answer(status, told)
        if self.command == "HEAD":
            return None
        file.seek(part.start)
        while length > 0 and (data := file.read(min(length, _CHUNK))):
            self.wfile.write(data)
            length -= len(data)
        return None

    def _refuse(self, status: int, why: str) -> None:
        body = f"{why}\n".encode()
        self._answer(
            status,
            {
                "Content-Type": "text/plain; charset=utf-8",
                "Content-Length": str(len(body)),
            },
        )
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self, status: int, told: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in told.items():
            self.send_header(name, value)
        if "Content-Length" not in told and status != 304:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args) -> None:
        """Nothing: names of files are nobody else's, and the terminal stays calm."""
