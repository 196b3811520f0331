"""TLS: whose certificates are asked for, and who is let in."""

import socket
import ssl
import time

import pytest
from authority import Authority
from node_films import film
from nodes import send

from cxr_jax.serve import certificates
from cxr_jax.serve.options import Limits, Tls
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def node_tls(authority):
    return Tls(*authority.issue("node"), authority.path)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    other = Authority(tmp_path_factory.mktemp("stranger"))
    return other.issue("stranger")


def client(authority, certificate=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.path)
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def test_mutual_tls_lets_in_who_has_a_certificate(
    receive, authority, node_tls, stranger
):
    node = receive(tls=node_tls)
    known = client(authority, authority.issue("sender"))
    assert send(node.port, [film(1), film(2, side=512)], tls=known) == [0, 0]
    assert send(node.port, [film(3)], tls=client(authority), seconds=3) == []
    assert send(node.port, [film(3)], tls=client(authority, stranger), seconds=3) == []
    assert send(node.port, [film(3)], seconds=3) == []  # in the clear
    assert len(node.films) == 2
    assert send(node.port, [film(3)], tls=known) == [0]


def test_without_an_authority_anyone_may_call_and_all_is_encrypted(
    receive, authority, node_tls
):
    node = receive(tls=node_tls._replace(authority=None))
    assert send(node.port, [film(1)], tls=client(authority)) == [0]
    assert send(node.port, [film(2)], seconds=3) == []


def test_old_protocols_are_refused(receive, authority, node_tls):
    node = receive(tls=node_tls._replace(authority=None))
    old = client(authority)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", node.port)) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(connection, server_hostname="localhost")


def test_a_handshake_that_stops_keeps_nobody_waiting(receive, authority, node_tls):
    node = receive(tls=node_tls, limits=Limits(opening_seconds=30))
    silent = socket.create_connection(("127.0.0.1", node.port))
    known = client(authority, authority.issue("sender"))
    began = time.monotonic()
    assert send(node.port, [film(1)], tls=known) == [0]
    assert time.monotonic() - began < 25
    silent.close()


def test_files_that_cannot_be_used(authority, node_tls, stranger, tmp_path):
    with pytest.raises(InputError, match="cannot be used"):
        certificates.of_server(node_tls._replace(key=stranger[1]))
    with pytest.raises(InputError, match="cannot be used"):
        certificates.of_server(node_tls._replace(certificate=tmp_path / "absent"))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        certificates.of_client(node_tls._replace(authority=tmp_path / "empty.pem"))
