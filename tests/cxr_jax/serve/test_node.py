"""A node from end to end: films in by C-STORE, results out."""

import re
import signal
import stat
import subprocess
import sys

import pydicom
import pytest
from node_films import PATIENT, film
from nodes import Running, open_association, running, send, until
from places import REPOSITORY


def test_films_become_results_in_a_folder(toy, tmp_path):
    films = [film(number) for number in range(3)]
    odd = film(8)
    odd.PatientName = f"{PATIENT}\\second\r\n"
    odd.StudyDate = PATIENT  # no date: pydicom quotes it in a warning
    broken = film(9, Rows=0, Manufacturer=PATIENT)
    with running(toy, tmp_path) as node:
        assert send(node.port, films) == [0, 0, 0]
        until(lambda: len(list(node.out.glob("*.dcm"))) == 6)
        assert send(node.port, [films[0], odd, broken]) == [0, 0, 0]
        until(lambda: len(node.events("scored", "refused")) == 5)
        metrics = node.ask("/metrics")[1]
        assert node.ask("/healthz") == (200, "ok\n")
        assert node.ask("/nothing")[0] == 404
        assert node.stop() == 0
    assert 'films_total{kind="scored"} 4' in metrics
    assert 'films_total{kind="refused"} 1' in metrics
    assert 'stored_total{kind="again"} 1' in metrics
    kept = [pydicom.dcmread(path).StudyInstanceUID for path in node.out.iterdir()]
    assert set(kept) == {each.StudyInstanceUID for each in [*films, odd]}
    assert stat.S_IMODE(node.spool.stat().st_mode) == 0o700
    assert stat.S_IMODE((node.spool / "pseudonyms.key").stat().st_mode) == 0o600
    _check_names_nobody(node.log.read_text(), [*films, odd, broken])


def _check_names_nobody(log: str, films) -> None:
    """Every line is JSON or of the terminal, and no value of a header is in it."""
    for each in films:
        for word in (each.PatientID, each.SOPInstanceUID, each.StudyInstanceUID):
            assert str(word) not in log
    for word in (*PATIENT.split("^"), "ACC-4711"):
        assert word not in log
    films_named = set(re.findall(r'"film": "([^"]*)"', log))
    assert len(films_named) == 5
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in films_named)


def test_sigterm_drains(toy, tmp_path):
    with running(toy, tmp_path, "--drain_seconds=20") as node:
        association = open_association(node.port)
        assert association.send_c_store(film(0, side=1500)).Status == 0
        node.process.send_signal(signal.SIGTERM)
        until(lambda: node.ask("/readyz") == (503, "draining\n"))
        assert send(node.port, [film(1)], seconds=3) == []
        assert association.send_c_store(film(2)).Status == 0  # it was let in before
        association.release()
        assert node.process.wait(30) == 0
    assert node.events("stopped")
    with running(toy, tmp_path) as node:  # what was not scored is scored now
        until(lambda: len(list(node.out.glob("*.dcm"))) == 4)
        assert node.stop() == 0


def test_a_second_node_is_refused_the_spool(toy, tmp_path):
    with running(toy, tmp_path):
        other = Running(toy, tmp_path)
        assert other.process.wait(60) == 1
        assert "another node uses this spool" in other.log.read_text()


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--bundle=BUNDLE", "--spool=X"], "--out and --send_to"),
        (["--bundle=BUNDLE", "--spool=BUNDLE", "--out=X"], "is no spool"),
        (["--bundle=BUNDLE", "--spool=X", "--out=X", "--host=0.0.0.0"], "--peers"),
    ],
)
def test_mistakes_are_one_message(toy, tmp_path, flags, words):
    command = [sys.executable, "-m", "cxr_jax.main", "--mode=serve"]
    command += [flag.replace("BUNDLE", str(toy)) for flag in flags]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin", "HOME": "/root"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr
