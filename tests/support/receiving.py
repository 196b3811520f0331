"""A toy bundle, and the receiving half of a node within the process of a test."""

import threading
from typing import NamedTuple

import pytest
from toy_bundle import write_bundle

from cxr_jax.serve import acceptor as acceptor_lib
from cxr_jax.serve import certificates
from cxr_jax.serve import spool as spool_lib
from cxr_jax.serve.acceptor import Acceptor
from cxr_jax.serve.intake import Intake
from cxr_jax.serve.journal import Journal
from cxr_jax.serve.options import Keeping, Limits, Options
from cxr_jax.serve.tally import Tally


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A bundle of a toy network, without a gate."""
    return write_bundle(tmp_path_factory.mktemp("toy") / "bundle", "brixia")


class Receiving(NamedTuple):
    """A node that only receives."""

    port: int
    spool: spool_lib.Spool
    journal: Journal
    tally: Tally
    acceptor: Acceptor

    @property
    def films(self) -> list:
        """The films on the disk."""
        return sorted(self.spool.films.iterdir())


@pytest.fixture
def receive(tmp_path, monkeypatch):
    """receive(limits=, keeping=, **options): a node that only receives, on a free port."""
    opened = []
    monkeypatch.setattr(threading, "excepthook", acceptor_lib.thread_failed)

    def start(limits=Limits(), keeping=Keeping(free_bytes=0), **changes):  # noqa: B008
        number = len(opened)
        options = Options(tmp_path, tmp_path / f"spool{number}", port=0)._replace(
            limits=limits, keeping=keeping, **changes
        )
        spool = spool_lib.open_spool(options.spool)
        journal, tally = Journal(spool.path), Tally()
        intake = Intake(spool, journal, keeping, limits)
        tls = certificates.of_server(options.tls) if options.tls else None
        acceptor = Acceptor(
            options, tls, intake.receive, lambda: None, tally, lambda uid: "film"
        )
        opened.append((acceptor, journal))
        return Receiving(acceptor.port, spool, journal, tally, acceptor)

    yield start
    for acceptor, journal in opened:
        acceptor.close(0)
        journal.close()
