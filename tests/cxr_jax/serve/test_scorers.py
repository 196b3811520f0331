"""The processes that score: a film that ends one fails, and the others are scored."""

import time

import pytest
from dicom_writer import save, save_frame
from node_films import film
from nodes import until
from pydicom.uid import JPEGLSLossless

from cxr_jax.bundle import load
from cxr_jax.serve import scored, scorers
from cxr_jax.serve import spool as spool_lib
from cxr_jax.serve.journal import Journal
from cxr_jax.serve.options import Options
from cxr_jax.serve.scorers import Scorers
from cxr_jax.serve.tally import Tally
from tfds_builders.common.errors import InputError

# A decoder that ends its process, or never ends, by what the frame holds.
DECODER = """
import os, time
jpeg8_decode = jpeg2k_decode = None
def jpegls_decode(data):
    if b"HANG" in data:
        time.sleep(3600)
    os.abort()
"""
FRAME = (
    b"\xff\xd8\xff\xf7\x00\x0b\x0c\x00\x60\x00\x60\x01\x01\x11\x00"  # 96 x 96, 12 bits
    b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"
)


@pytest.fixture
def scoring(toy, tmp_path):
    """scoring(**options): spool, journal and the processes that score, which are ended."""
    opened = []

    def start(films, **changes):
        options = Options(toy, tmp_path / "spool", gate="off", kinds=("sr",))
        options = options._replace(**changes)
        spool = spool_lib.open_spool(options.spool)
        journal, tally = Journal(spool.path), Tally()
        for number, write in enumerate(films):
            digest = f"{number:02}" * 32
            write(spool.films / f"{digest}.dcm", number)
            journal.add(film(number).SOPInstanceUID, digest, 1, "PACS", time.time())
        running = Scorers(
            options, spool, journal, tally, lambda uid: "film", lambda: None
        )
        opened.append((running, journal))
        return journal, tally, running

    yield start
    for running, journal in opened:
        running.close(30)
        journal.close()


def good(path, number):
    save(path, film(number))


def bad(payload):
    def write(path, number):
        frame = FRAME + payload + b"\xff\xd9"
        save_frame(path, film(number), frame, JPEGLSLossless)

    return write


def test_a_crash_and_a_hang_fail_alone(scoring, tmp_path, monkeypatch):
    (tmp_path / "imagecodecs.py").write_text(DECODER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    films = [good, bad(b"CRASH" * 9), good, bad(b"HANG" * 9), good]
    journal, tally, running = scoring(films, film_seconds=3.0)
    until(lambda: not journal.received(9), 120)
    assert journal.counts()["films"] == {"scored": 3, "failed": 2}
    assert tally.counts()["scorer_ended", "crash"] == 2
    assert tally.counts()["scorer_ended", "slow"] == 2
    assert running.is_alive and running.ready == 1
    reasons = [reason for (reason,) in journal._rows("SELECT reason FROM films")]
    assert "exit code -6" in reasons[1] and "too slow" in reasons[3]


def test_films_that_cannot_be_read_are_refused_with_the_reason(scoring):
    def colour(path, number):
        made = film(number, SamplesPerPixel=3, PhotometricInterpretation="RGB")
        save(path, made)

    def without_pixels(path, number):
        made = film(number)
        del made.PixelData
        save(path, made)

    def empty(path, number):
        path.write_bytes(b"")

    journal, _, _ = scoring([colour, without_pixels, empty, good])
    until(lambda: not journal.received(9))
    rows = journal._rows("SELECT state, reason FROM films ORDER BY id")
    states, reasons = zip(*rows, strict=True)
    assert states == ("refused", "refused", "refused", "scored")
    assert "not a grey radiograph" in reasons[0] and "no pixel data" in reasons[1]


def test_a_full_disk_makes_a_film_wait(scoring, monkeypatch):
    monkeypatch.setattr(scorers, "_PAUSE", 0.1)
    journal, _, running = scoring([])
    journal.add("1.2", "ab" * 32, 1, "PACS", 1.0)
    [row] = journal.received(1)
    running._finish(row, {"later": "cannot be written: No space left on device"}, 0.1)
    assert [each.id for each in journal.received(9)] == [row.id]


def test_a_bundle_that_cannot_be_opened_is_said_at_once(scoring, tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        scoring([], bundle=tmp_path / "absent")
    with pytest.raises(InputError, match="without a gate"):
        scoring([], gate="refuse")


def test_the_scores_are_those_of_the_bundle(toy, tmp_path):
    path = save(tmp_path / "film.dcm", film(7))
    bundle = load(toy)
    found = scored.score_film(bundle, path, "1.2.3", "off")
    [row] = bundle.predict([path], gate="off")
    row |= {"path": "film.dcm", "example_id": "1.2.3"}
    assert found.record == row
    assert found.overlay is not None and found.overlay.shape[2] == 3
