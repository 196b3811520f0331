"""Who may connect, and what becomes of who behaves badly."""

import contextlib
import ipaddress
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from node_films import film
from nodes import CR, open_association, send, until
from pynetdicom import AE
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from cxr_jax.serve import acceptor as acceptor_lib
from cxr_jax.serve.options import Limits, Options, networks
from tfds_builders.common.errors import InputError

QUICK = Limits(opening_seconds=1, idle_seconds=1, object_seconds=2)


def test_echo_and_store_are_offered_and_nothing_else(receive):
    node = receive()
    ae = AE()
    for uid in (
        Verification,
        CR,
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelMove,
    ):
        ae.add_requested_context(uid)
    association = ae.associate("127.0.0.1", node.port, ae_title="CXRJAX")
    accepted = {each.abstract_syntax for each in association.accepted_contexts}
    assert accepted == {Verification, CR}
    assert association.send_c_echo().Status == 0
    association.release()


@pytest.mark.parametrize(
    "called, calling, status",
    [("CXRJAX", "PACS", [0]), ("OTHER", "PACS", []), ("CXRJAX", "STRANGER", [])],
)
def test_titles(receive, called, calling, status):
    node = receive(calling=("PACS", "ROUTER"))
    assert send(node.port, [film(1)], aet=called, calling=calling) == status
    assert len(node.films) == len(status)


def test_addresses(receive):
    node = receive(peers=networks(["127.0.0.8/30"]))
    assert send(node.port, [film(1)]) == []
    assert send(node.port, [film(1)], source="127.0.0.9") == [0]
    assert node.tally.counts()["connections_refused", "address"] >= 1


@pytest.mark.parametrize(
    "address, peers, may",
    [
        ("127.0.0.1", [], True),
        ("::1", [], True),
        ("10.0.0.5", [], False),
        ("10.0.0.5", ["10.0.0.5"], True),
        ("::ffff:10.0.0.5", ["10.0.0.0/24"], True),
        ("10.0.1.5", ["10.0.0.0/24"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("127.0.0.1", ["10.0.0.0/24"], False),
        ("nonsense", ["0.0.0.0/0"], False),
    ],
)
def test_may_call(tmp_path, address, peers, may):
    options = Options(tmp_path, tmp_path, peers=networks(peers))
    assert acceptor_lib.may_call(address, options) == may
    if may and peers and "%" not in address:
        known = ipaddress.ip_address(address)
        known = getattr(known, "ipv4_mapped", None) or known
        assert known in ipaddress.ip_network(peers[0])


def test_a_port_that_is_taken(receive):
    node = receive()
    with pytest.raises(InputError, match="cannot listen there"):
        receive(port=node.port)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" + bytes(100),  # TLS where there is none
        bytes(10),
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + b"x" * 1000,
        struct.pack(">BBL", 1, 0, 68) + bytes(68),
        struct.pack(">BBL", 4, 0, 6) + bytes(6),
        struct.pack(">BBL", 1, 0, 100),  # and no more
        b"\x01",
    ],
)
def test_garbage_instead_of_an_association(receive, data):
    node = receive(limits=QUICK)
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as peer:
        peer.sendall(data)
        with contextlib.suppress(OSError):
            while peer.recv(4096):  # until it is closed
                pass
    assert send(node.port, [film(1)]) == [0]


@pytest.mark.parametrize(
    "data",
    [
        b"garbage" * 10,
        struct.pack(">BBL", 4, 0, 1000) + bytes(10),  # truncated
        struct.pack(">BBLLBB", 4, 0, 6, 2, 99, 3),  # no such context
        struct.pack(">BBLLBB", 4, 0, 6, 2, 1, 3),  # an empty command
        struct.pack(">BBLLBB", 4, 0, 6, 2, 1, 2),  # a data set without a command
        struct.pack(">BBLLBB", 4, 0, 6, 0xFFFFFF, 1, 2),
    ],
)
def test_garbage_after_the_association(receive, data):
    node = receive(limits=QUICK)
    association = open_association(node.port)
    association.dul.socket.socket.sendall(data)
    until(lambda: not association.is_established)
    assert send(node.port, [film(1)]) == [0]
    assert len(node.films) == 1


def _begun(node, share: float):
    """An association in which a film was sent in part, and its connection."""
    association = open_association(node.port)
    connection = association.dul.socket.socket
    whole = []
    association.dul.socket.send = whole.append  # what would be sent
    threading.Thread(
        target=lambda: association.send_c_store(film(5, side=512)), daemon=True
    ).start()
    until(lambda: sum(map(len, whole)) > 2 * 512 * 512)
    data = b"".join(whole)
    connection.sendall(data[: int(share * len(data))])
    return association, connection


@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
@pytest.mark.parametrize("how", ["closed", "aborted"])
def test_an_end_in_the_middle_leaves_nothing(receive, share, how):
    node = receive(limits=QUICK)
    _, connection = _begun(node, share)
    if how == "aborted":
        connection.sendall(struct.pack(">BBLL", 7, 0, 4, 0))
    connection.shutdown(socket.SHUT_RDWR)
    until(lambda: not node.acceptor.associations)
    assert node.films == [] and node.journal.received(9) == []
    assert send(node.port, [film(5, side=512)]) == [0]


def test_a_slow_sender_is_cut_off(receive):
    node = receive(limits=QUICK)
    _, connection = _begun(node, 0.3)
    began = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - began < 30:  # a byte now and then
            connection.sendall(b"\0")
            time.sleep(0.1)
    until(lambda: not node.acceptor.associations)
    assert node.tally.counts()["connections_refused", "too slow"] == 1
    assert node.films == []


def test_a_film_that_is_too_large(receive):
    node = receive(limits=QUICK._replace(object_bytes=1 << 20, object_seconds=30))
    films = [film(1), film(2, side=2048)]
    assert send(node.port, films, seconds=3)[:1] == [0]
    until(lambda: not node.acceptor.associations)
    assert len(node.films) == 1
    assert node.tally.counts()["connections_refused", "too large"] == 1
    assert send(node.port, [film(3)]) == [0]


# In a process of its own, because select() takes only so many of one.
FLOOD = """
import socket, sys
port, number = map(int, sys.argv[1:])
opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]
print("opened", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_that_only_open_leave_room_for_others(receive, number):
    node = receive(limits=Limits(opening_seconds=30, associations_per_minute=10_000))

    def refused():
        return node.tally.counts()["connections_refused", "connections"]

    command = [sys.executable, "-c", FLOOD, str(node.port), str(number)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as flood:
        assert flood.stdout.readline() == "opened\n"
        assert node.acceptor.associations <= Limits().associations
        assert send(node.port, [film(1)], source="127.0.0.2") == [0]
        until(lambda: refused() > 0.9 * number)
        flood.stdin.close()


def test_the_rate_of_an_address(receive):
    node = receive(limits=Limits(associations_per_minute=3))
    found = [send(node.port, [film(number)]) for number in range(5)]
    assert found == [[0], [0], [0], [], []]
    assert send(node.port, [film(1)], source="127.0.0.2") == [0]


def test_films_above_their_rate_are_slowed_down_then_refused(receive, monkeypatch):
    monkeypatch.setattr(acceptor_lib, "_LONGEST_WAIT", 0.0)
    node = receive(limits=Limits(films_per_minute=2))
    assert send(node.port, [film(n) for n in range(3)]) == [0, 0, 0xA700]
    assert len(node.films) == 2


def test_associations_at_once(receive):
    node = receive(limits=Limits(associations=2))
    first = open_association(node.port)
    second = open_association(node.port, source="127.0.0.2")
    third = open_association(node.port, source="127.0.0.3")
    assert first.is_established and second.is_established
    assert third.is_rejected
    first.release()
    until(lambda: node.acceptor.associations < 2)
    assert send(node.port, [film(1)], source="127.0.0.3") == [0]
    second.release()
