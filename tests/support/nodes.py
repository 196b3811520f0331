"""A node as a process of its own, and who sends films to it."""

import collections
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pydicom
from places import REPOSITORY
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts, build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND

CR = "1.2.840.10008.5.1.4.1.1.1"
ECHO = "1.2.840.10008.1.1"
SECONDS = 60  # until something that has to happen has happened


def free_port() -> int:
    """Of localhost, free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A node that runs: its process, its port, and its log file."""

    def __init__(self, bundle, folder: pathlib.Path, *flags: str, port: int = 0):
        self.port = port or free_port()
        self.health = free_port()
        self.log = folder / "node.log"
        self.spool = folder / "spool"
        self.out = folder / "out"
        command = [
            *(sys.executable, "-m", "cxr_jax.main", "--mode=serve"),
            *(f"--bundle={bundle}", f"--spool={self.spool}", f"--port={self.port}"),
            *(f"--health_port={self.health}", "--free_mb=1", "--gate=off"),
            *flags,
        ]
        if not any(flag.startswith("--send_to") for flag in flags):
            command.append(f"--out={self.out}")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdout=log,
                stderr=log,
            )

    def ask(self, path: str) -> tuple[int, str]:
        """(status, text) of the health server; status 0 where there is none."""
        try:
            url = f"http://127.0.0.1:{self.health}{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self) -> "Running":
        """Waits until films are taken."""
        until(lambda: self.ask("/readyz")[0] == 200 or self._died())
        return self

    def _died(self) -> bool:
        if self.process.poll() is None:
            return False
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        """As a power failure would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def events(self, *names: str) -> list[dict]:
        """The lines of the log that are of these events."""
        found = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry["event"] in names:
                    found.append(entry)
        return found


@contextlib.contextmanager
def running(bundle, folder: pathlib.Path, *flags: str, port: int = 0):
    """A node that is ready; it is killed if the test did not stop it."""
    node = Running(bundle, folder, *flags, port=port)
    try:
        yield node.wait_ready()
    finally:
        if node.process.poll() is None:
            node.kill()


def until(holds, seconds: float = SECONDS) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.05)


def send(
    port: int,
    films,
    aet="CXRJAX",
    calling="SENDER",
    tls=None,
    source=None,
    seconds: float = SECONDS,
):
    """Statuses of C-STORE, one a film; [] where there is no association."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = seconds
    wanted = dict.fromkeys(
        (each.SOPClassUID, each.file_meta.TransferSyntaxUID) for each in films
    )
    contexts = [build_context(uid, [syntax]) for uid, syntax in wanted]
    arguments = {} if tls is None else {"tls_args": (tls, "localhost")}
    if source is not None:
        arguments["bind_address"] = (source, 0)
    association = ae.associate("127.0.0.1", port, contexts, ae_title=aet, **arguments)
    if not association.is_established:
        return []
    found = []
    for each in films:
        if not association.is_established:
            break
        found.append(association.send_c_store(each).get("Status"))
    if association.is_established:
        association.release()
    return found


def open_association(port: int, aet="CXRJAX", calling="SENDER", source="127.0.0.1"):
    """An association for CR films, to be misused."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = SECONDS
    contexts = [build_context(CR, ["1.2.840.10008.1.2.1"]), build_context(ECHO)]
    return ae.associate(
        "127.0.0.1", port, contexts, ae_title=aet, bind_address=(source, 0)
    )


class Archive:
    """A node that keeps what it is sent: {SOPInstanceUID: how often}.

    status: of its answers to C-STORE, may be changed. answers: whether to C-FIND.
    """

    def __init__(self, tls=None, answers: bool = True, port: int = 0):
        self.got: collections.Counter = collections.Counter()
        self.status = 0
        ae = AE(ae_title="ARCHIVE")
        ae.supported_contexts = [
            *(
                build_context(each.abstract_syntax)
                for each in AllStoragePresentationContexts
            ),
            *([build_context(FIND)] if answers else []),
        ]
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        self._server = ae.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls
        )
        self.port = self._server.server_address[1]

    def close(self) -> None:
        """No more."""
        self._server.shutdown()

    def _store(self, event) -> int:
        if self.status == 0:
            self.got[str(event.request.AffectedSOPInstanceUID)] += 1
        return self.status

    def _find(self, event):
        wanted = event.identifier.SOPInstanceUID
        if wanted in self.got:
            found = pydicom.Dataset()
            found.QueryRetrieveLevel = "IMAGE"
            found.SOPInstanceUID = wanted
            yield 0xFF00, found
