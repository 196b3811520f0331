"""What is acknowledged is on the disk; what is refused leaves nothing."""

import errno
import io
import os
import resource
import sqlite3
import subprocess
import sys
import zlib

import numpy as np
import pydicom
import pytest
from dicom_writer import data_set
from hypothesis import given, settings
from hypothesis import strategies as st
from node_films import film
from nodes import open_association, send
from places import REPOSITORY
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cxr_jax.serve import intake as intake_lib
from cxr_jax.serve import offered
from cxr_jax.serve.options import Keeping
from tfds_builders.common import files


def test_a_film_lies_in_the_spool_as_it_was_sent(receive):
    node = receive()
    sent = film(1)
    assert send(node.port, [sent]) == [0]
    [path] = node.films
    found = pydicom.dcmread(path)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.file_meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID
    assert found == sent
    [row] = node.journal.received(9)
    assert (row.sop, row.file) == (sent.SOPInstanceUID, path.name)


def test_the_same_film_again_is_kept_once_and_another_of_its_uid_beside_it(receive):
    node = receive()
    same = [film(1), film(1), film(2, SOPInstanceUID=film(1).SOPInstanceUID)]
    assert send(node.port, same) == [0, 0, 0]
    assert len(node.films) == len(node.journal.received(9)) == 2
    assert node.tally.counts() | {("associations", "accepted"): 0} == {
        ("stored", "new"): 2,
        ("stored", "again"): 1,
        ("associations", "accepted"): 0,
    }


@pytest.mark.parametrize(
    "change, status",
    [
        ({"SOPInstanceUID": "1.2.3"}, 0xA900),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, 0xA900),
    ],
)
def test_a_data_set_that_is_another(receive, change, status):
    node = receive()
    association = open_association(node.port)
    sent = film(1)
    asked = str(sent.SOPClassUID), str(sent.SOPInstanceUID)
    for name, value in change.items():
        setattr(sent, name, value)
    assert _store(association, *asked, data_set(sent)) == status
    association.release()
    assert node.films == [] and node.journal.received(9) == []


@pytest.mark.parametrize("data", [b"", b"garbage" * 100, bytes(1000), b"\xff" * 64])
def test_bytes_that_are_no_data_set(receive, data):
    node = receive()
    association = open_association(node.port)
    sent = film(1)
    status = _store(association, sent.SOPClassUID, sent.SOPInstanceUID, data)
    assert status in (0xC000, 0xA900)
    assert association.send_c_store(sent).Status == 0  # it goes on
    association.release()
    assert len(node.films) == 1


def _store(association, sop_class, sop, data: bytes) -> int:
    """C-STORE of any bytes under a command that is right."""
    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop
    request.DataSet = io.BytesIO(data or b"\0\0")
    context = association.accepted_contexts[0].context_id
    association._reactor_checkpoint.clear()  # as send_c_store does
    association.dimse.send_msg(request, context)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer.Status


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_uids_of_any_bytes(data):
    for syntax in offered.NATIVE:
        found = intake_lib.uids(data, syntax)
        assert found is None or all(isinstance(each, str) for each in found)


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_uids_in_each_encoding(syntax):
    sent = film(3, side=512)
    del sent.file_meta
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data_set(sent)) + packer.flush()
    else:
        if syntax == ExplicitVRBigEndian:
            sent.PixelData = np.frombuffer(sent.PixelData, "<u2").byteswap().tobytes()
        data = data_set(sent, syntax)
    assert intake_lib.uids(data[: 1 << 16], syntax) == (
        sent.SOPClassUID,
        sent.SOPInstanceUID,
    )


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("where", ["write", "folder"])
def test_a_disk_that_is_full_refuses_and_goes_on_when_there_is_room(
    receive, monkeypatch, code, where
):
    node = receive()

    def fail(*_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as full:
        if where == "write":
            full.setattr(os, "fsync", fail)
        else:
            full.setattr(files, "sync_folder", fail)
        assert send(node.port, [film(1), film(2)]) == [0xA700, 0xA700]
    assert node.journal.received(9) == []
    assert not list(node.spool.path.rglob("*.tmp"))
    assert node.films == []
    assert send(node.port, [film(1), film(2)]) == [0, 0]
    assert len(node.films) == len(node.journal.received(9)) == 2


def test_a_journal_that_cannot_be_written(receive, monkeypatch):
    node = receive()
    with monkeypatch.context() as full:

        def fail(*_):
            raise sqlite3.OperationalError("database or disk is full")

        full.setattr(type(node.journal), "add", fail)
        assert send(node.port, [film(1)]) == [0xA700]
    assert node.films == []
    assert send(node.port, [film(1)]) == [0]


# A quota of the system on the size of a file, which ends the writing in the middle.
QUOTA = """
import pathlib, resource, signal, sys
from cxr_jax.serve import spool as spool_lib
from tfds_builders.common.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
spool = spool_lib.open_spool(pathlib.Path(sys.argv[1]))
try:
    spool_lib.store(spool, "ab" * 32, bytes(20_000))
except InputError as error:
    print(error.found)
spool_lib.store(spool, "cd" * 32, bytes(9_000))
print(*sorted(path.name for path in spool.films.iterdir()))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no such limit here")
def test_a_real_quota_leaves_nothing_half_written(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", QUOTA, str(tmp_path / "spool")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"cannot be written: {os.strerror(errno.EFBIG)}",
        "cd" * 32 + ".dcm",
    ]


def test_a_spool_that_is_full_makes_room_of_what_is_done_and_of_nothing_else(receive):
    size = len(data_set(film(0)))
    node = receive(keeping=Keeping(spool_bytes=int(2.5 * size), free_bytes=0))
    assert send(node.port, [film(n) for n in range(3)]) == [0, 0, 0xA700]
    first = node.journal.received(1)[0]
    node.journal.unscored(first.id, "refused", "no lung", 1.0)
    assert send(node.port, [film(3), film(4)]) == [0, 0xA700]
    assert not (node.spool.films / first.file).exists()
    assert len(node.films) == 2
    assert send(node.port, [film(0)]) == [0]  # it was scored before


def test_the_free_space_of_the_disk(receive):
    everything = 1 << 62
    node = receive(keeping=Keeping(free_bytes=everything))
    assert send(node.port, [film(1)]) == [0xA700]
    assert node.films == []


def test_a_large_object(receive):
    node = receive()
    sent = film(1)
    sent.add_new((0x0009, 0x0010), "LO", "CXR_JAX")
    sent.add_new((0x0009, 0x1001), "OB", bytes(100_000_000))
    assert send(node.port, [sent]) == [0]
    assert node.films[0].stat().st_size > 100_000_000
