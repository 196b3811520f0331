"""Results on their way out: each once, whatever the other end does."""

import ssl
import time

import pydicom
import pytest
from authority import Authority
from node_films import film
from nodes import Archive, free_port, until

from cxr_jax.serve import certificates, delivery, to_folder
from cxr_jax.serve import spool as spool_lib
from cxr_jax.serve.delivery import Delivery
from cxr_jax.serve.journal import Journal, Made
from cxr_jax.serve.options import Options, Peer, Tls
from cxr_jax.serve.tally import Tally
from tfds_builders.common import files


@pytest.fixture
def waiting(tmp_path):
    """waiting(n, received): spool and journal with n results to be sent."""
    spool = spool_lib.open_spool(tmp_path / "spool")
    journal = Journal(spool.path)

    def fill(count, received=None):
        for number in range(count):
            made = film(number)
            path = spool.results_of(f"{number:02}") / "0.dcm"
            path.parent.mkdir()
            pydicom.dcmwrite(path, made, enforce_file_format=True)
            when = time.time() if received is None else received
            journal.add(str(number), f"{number:02}", 1, "PACS", when)
            row = journal.received(1)[0]
            digest = files.sha256(path)
            name = path.relative_to(spool.path).as_posix()
            journal.scored(
                row.id,
                "",
                [Made(made.SOPInstanceUID, made.SOPClassUID, name, digest, 1)],
                when,
            )
        return spool, journal

    yield fill
    journal.close()


@pytest.fixture
def sending(waiting, monkeypatch):
    """sending(spool, journal, **options): deliveries without pauses, closed at the end."""
    monkeypatch.setattr(delivery, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(delivery, "_LOOK", 0.01)
    opened = []

    def start(spool, journal, tls=None, **changes):
        options = Options(spool.path, spool.path)._replace(**changes)
        tally = Tally()
        made = Delivery(options, tls, spool, journal, tally, lambda uid: "result")
        opened.append(made)
        return made, tally

    yield start
    for each in opened:
        each.close(10)


@pytest.fixture
def archive():
    made = Archive()
    yield made
    made.close()


def peer(archive):
    return Peer("ARCHIVE", "127.0.0.1", archive.port)


def test_each_result_arrives_once(waiting, sending, archive):
    spool, journal = waiting(5)
    _, tally = sending(spool, journal, send_to=peer(archive))
    until(lambda: journal.counts()["results"] == {"sent": 5})
    assert archive.got == {film(n).SOPInstanceUID: 1 for n in range(5)}
    assert tally.counts()["results", "sent"] == 5


def test_a_node_that_is_away_is_tried_until_it_is_back(waiting, sending):
    spool, journal = waiting(2)
    port = free_port()
    _, tally = sending(spool, journal, send_to=Peer("ARCHIVE", "127.0.0.1", port))
    until(lambda: tally.counts().get(("send_failures", "destination"), 0) >= 2)
    assert journal.counts()["results"] == {"waiting": 2}
    archive = Archive(port=port)
    until(lambda: journal.counts()["results"] == {"sent": 2})
    assert set(archive.got.values()) == {1}
    archive.close()


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC123, 0x0122])
def test_a_failure_is_tried_again_a_warning_is_not(waiting, sending, archive, status):
    spool, journal = waiting(1)
    archive.status = status
    sending(spool, journal, send_to=peer(archive))
    until(lambda: any(row.tries >= 2 for row in journal.due(time.time() + 99, 9)))
    assert not archive.got
    archive.status = 0
    until(lambda: journal.counts()["results"] == {"sent": 1})


def test_a_warning_means_that_it_is_stored(waiting, sending, archive):
    spool, journal = waiting(1)
    archive.status = 0xB000
    sending(spool, journal, send_to=peer(archive))
    until(lambda: journal.counts()["results"] == {"sent": 1})


def test_what_cannot_be_sent_for_long_is_abandoned(waiting, sending):
    spool, journal = waiting(1, received=1.0)
    nowhere = Peer("ARCHIVE", "127.0.0.1", free_port())
    _, tally = sending(spool, journal, send_to=nowhere, give_up_hours=1.0)
    until(lambda: journal.counts()["results"] == {"abandoned": 1})
    assert tally.counts()["results", "abandoned"] == 1
    assert spool.results_of("00").exists()


@pytest.mark.parametrize("answers, got", [(True, 1), (False, 2)])
def test_a_sending_that_was_cut_off_is_asked_about(waiting, sending, answers, got):
    spool, journal = waiting(1)
    archive = Archive(answers=answers)
    first, _ = sending(spool, journal, send_to=peer(archive))
    until(lambda: journal.counts()["results"] == {"sent": 1})
    first.close(10)
    journal.sending(1)  # as if the node had been killed before it noted the answer
    sending(spool, journal, send_to=peer(archive))
    until(lambda: journal.counts()["results"] == {"sent": 1})
    assert list(archive.got.values()) == [got]
    archive.close()


def test_a_file_that_is_gone_does_not_hold_up_the_others(waiting, sending, archive):
    spool, journal = waiting(3)
    (spool.results_of("00") / "0.dcm").unlink()
    sending(spool, journal, send_to=peer(archive))
    until(lambda: journal.counts()["results"].get("sent") == 2)
    assert len(archive.got) == 2


def test_over_tls(waiting, sending, tmp_path):
    authority = Authority(tmp_path / "authority")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("archive"))
    server.load_verify_locations(authority.path)
    server.verify_mode = ssl.CERT_REQUIRED
    archive = Archive(tls=server)
    spool, journal = waiting(2)
    tls = certificates.of_client(Tls(*authority.issue("node"), authority.path))
    sending(spool, journal, tls, send_to=peer(archive))
    until(lambda: journal.counts()["results"] == {"sent": 2})
    archive.close()


def test_into_a_folder(waiting, sending, tmp_path):
    spool, journal = waiting(3)
    out = tmp_path / "out"
    first, _ = sending(spool, journal, out=out)
    until(lambda: journal.counts()["results"] == {"sent": 3})
    first.close(10)
    names = {f"{film(n).SOPInstanceUID}.dcm" for n in range(3)}
    assert {path.name for path in out.iterdir()} == names
    before = {path: path.stat().st_ino for path in out.iterdir()}
    journal.sending(1)
    sending(spool, journal, out=out)
    until(lambda: journal.counts()["results"] == {"sent": 3})
    assert {path: path.stat().st_ino for path in out.iterdir()} == before


def test_a_folder_keeps_what_another_result_of_that_uid_was(waiting, tmp_path):
    spool, journal = waiting(1)
    [row] = journal.due(time.time(), 9)
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{row.sop}.dcm").write_bytes(b"other")
    assert [why for _, why in to_folder.deliver(out, spool, [row])] == [""]
    assert (out / f"{row.sop}.dcm").read_bytes() == b"other"
    assert files.sha256(out / f"{row.sop}-{row.digest[:12]}.dcm") == row.digest


def test_a_folder_that_is_none(waiting, tmp_path):
    spool, journal = waiting(1)
    out = tmp_path / "out"
    out.write_text("a file")
    [(_, why)] = to_folder.deliver(out, spool, journal.due(time.time(), 9))
    assert why


def test_pauses_grow_to_ten_minutes():
    assert [delivery.pause(tries) for tries in range(4)] == [5, 10, 20, 40]
    assert delivery.pause(7) == delivery.pause(500) == 600
