"""What a node is told, and what it refuses to be told."""

import pytest
from absl import flags
from absl.testing import flagsaver

from cxr_jax.serve import node_flags, objects
from cxr_jax.serve import options as options_lib
from cxr_jax.serve.options import Keeping, Limits, Options, Peer
from tfds_builders.common.errors import InputError


@pytest.mark.parametrize(
    "text, found",
    [
        ("PACS@10.0.0.5:104", Peer("PACS", "10.0.0.5", 104)),
        ("MY PACS@pacs.local:4242", Peer("MY PACS", "pacs.local", 4242)),
        ("PACS@[::1]:104", Peer("PACS", "::1", 104)),
    ],
)
def test_peers(text, found):
    assert options_lib.peer(text) == found
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        *("PACS", "PACS@host", "@host:1", "PACS@host:0", "PACS@host:99999", "P@:1"),
        *("A" * 17 + "@host:104", "A\\B@host:104", "  @host:104", "PACS@::1:104"),
    ],
)
def test_no_peers(text):
    with pytest.raises(InputError):
        options_lib.peer(text)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, "none is given"),
        ({"out": "x", "send_to": Peer("A", "b", 1)}, "both are given"),
        ({"out": "x", "host": "0.0.0.0"}, "listens to other machines"),
        ({"out": "x", "host": "node.local"}, "listens to other machines"),
        ({"send_to": Peer("A", "b", 1), "send_tls": True}, "needs certificates"),
        ({"out": "x", "kinds": ("sr", "jpeg")}, "kinds"),
        ({"out": "x", "kinds": ()}, "kinds"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, changes, words):
    options = Options(tmp_path, tmp_path)._replace(**changes)
    with pytest.raises(InputError, match=words):
        options_lib.check(options)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_no_list(tmp_path, host):
    options_lib.check(Options(tmp_path, tmp_path, out=tmp_path, host=host))


def test_addresses_that_are_none():
    with pytest.raises(InputError, match="no address"):
        options_lib.networks(["10.0.0.300"])


def test_flags_have_the_defaults_of_the_options(tmp_path):
    with flagsaver.flagsaver(spool=str(tmp_path), out=str(tmp_path)):
        found = node_flags.options(str(tmp_path), 0, "refuse")
    wanted = Options(tmp_path, tmp_path, out=tmp_path, health_port=found.health_port)
    assert found == wanted
    assert (found.limits, found.keeping) == (Limits(), Keeping())


def test_flags_reach_the_options(tmp_path):
    with flagsaver.flagsaver(
        spool=str(tmp_path),
        send_to="PACS@10.0.0.5:104",
        calling=["A", "B"],
        peers=["10.0.0.5", "10.1.0.0/16"],
        film_mb=3,
        spool_gb=0.5,
        tls_cert="cert.pem",
        tls_key="key.pem",
    ):
        found = node_flags.options(str(tmp_path), 104, "warn")
    assert found.send_to == Peer("PACS", "10.0.0.5", 104)
    assert found.calling == ("A", "B") and len(found.peers) == 2
    assert found.limits.object_bytes == 3 << 20
    assert found.keeping.spool_bytes == 1 << 29
    assert found.tls is not None and found.tls.authority is None
    assert (found.port, found.gate) == (104, "warn")


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "--spool"),
        ({"spool": "x", "tls_cert": "a.pem"}, "--tls_key"),
        ({"spool": "x", "tls_key": "a.pem"}, "--tls_cert"),
        ({"spool": "x", "aet": "A" * 17}, "--aet"),
    ],
)
def test_flags_that_are_missing(given, words):
    with flagsaver.flagsaver(**given), pytest.raises(InputError, match=words):
        node_flags.options("bundle", 0, "refuse")


def test_every_flag_says_that_it_is_of_this_mode():
    assert len(node_flags.NAMES) > 20
    for name in node_flags.NAMES:
        assert flags.FLAGS[name].help.startswith("With --mode=serve: ")


def test_every_kind_can_be_made():
    assert set(options_lib.KINDS) == set(objects.OBJECTS)
