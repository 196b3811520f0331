"""A film that comes by C-STORE: on the disk and in the journal, or refused.

Statuses are those of PS3.4, table B.2-1.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import sqlite3
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import RE_VALID_UID, UID, DeflatedExplicitVRLittleEndian

from cxr_jax.serve import spool as spool_lib
from cxr_jax.serve.journal import FAILED, Journal
from cxr_jax.serve.options import Keeping, Limits
from cxr_jax.serve.spool import Spool
from tfds_builders.common.errors import InputError

SUCCESS, NO_ROOM, OTHER_CLASS, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
_HEAD = 1 << 16  # bytes in which the two UIDs of an instance are
_LAST = Tag(0x0008, 0x0018)
_PREAMBLE = bytes(128) + b"DICM"


class Answer(NamedTuple):
    """Attributes:
    status: of the response.
    why: 'new', 'again', or why it was refused, in a word or two.
    sop: of the film, or ''.
    """

    status: int
    why: str
    sop: str = ""


class Intake(NamedTuple):
    """Where films go. now: the time, in seconds since 1970."""

    spool: Spool
    journal: Journal
    keeping: Keeping
    limits: Limits
    now: Callable[[], float] = time.time

    def receive(self, event: Any, caller: str) -> Answer:
        """Stores the film of a C-STORE request of pynetdicom."""
        request = event.request
        sop, sop_class = map(
            str, (request.AffectedSOPInstanceUID, request.AffectedSOPClassUID)
        )
        data = request.DataSet.getvalue() if request.DataSet else b""
        syntax = UID(event.context.transfer_syntax)
        if not re.match(RE_VALID_UID, sop) or len(sop) > 64:
            return Answer(NOT_UNDERSTOOD, "no valid UID")
        if len(data) > self.limits.object_bytes:
            return Answer(NO_ROOM, "too large", sop)
        found = uids(data[:_HEAD], syntax)
        if found is None:
            return Answer(NOT_UNDERSTOOD, "unreadable", sop)
        if found != (sop_class, sop):
            return Answer(OTHER_CLASS, "other UIDs inside", sop)
        digest = hashlib.sha256(data).hexdigest()
        known = self.journal.film(sop, digest)
        if known is not None and known.state != FAILED:
            return Answer(SUCCESS, "again", sop)
        content = b"".join((_meta(sop_class, sop, syntax), data))
        return self._keep(sop, digest, content, caller)

    def _keep(self, sop: str, digest: str, content: bytes, caller: str) -> Answer:
        size = len(content)
        if lack := self._lack(size):
            return Answer(NO_ROOM, lack, sop)
        with spool_lib.holding(digest):
            try:
                spool_lib.store(self.spool, digest, content)
                added = self.journal.add(sop, digest, size, caller, self.now())
            except (InputError, OSError, sqlite3.Error) as error:
                if digest not in self.journal.digests():
                    spool_lib.discard(self.spool, digest)
                what = "journal" if isinstance(error, sqlite3.Error) else "film"
                return Answer(NO_ROOM, f"{what} cannot be written", sop)
        return Answer(SUCCESS, "new" if added else "again", sop)

    def _lack(self, size: int) -> str:
        lack = spool_lib.lack(self.spool, self.journal, self.keeping, size)
        while lack and spool_lib.make_room(self.spool, self.journal, self.now()):
            lack = spool_lib.lack(self.spool, self.journal, self.keeping, size)
        return lack


def uids(head: bytes, syntax: UID) -> tuple[str, str] | None:
    """SOP class and instance of the first bytes of a data set; None if unreadable."""
    with contextlib.suppress(Exception):  # whatever pydicom meets in other bytes
        if syntax == DeflatedExplicitVRLittleEndian:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, _HEAD)
        found = read_dataset(
            io.BytesIO(head),
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            stop_when=lambda tag, vr, length: tag > _LAST,
        )
        return str(found.SOPClassUID), str(found.SOPInstanceUID)
    return None


def _meta(sop_class: str, sop: str, syntax: UID) -> bytes:
    """What comes before the data set in a file (PS3.10, 7.1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop)
    meta.TransferSyntaxUID = syntax
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    file.write(_PREAMBLE)
    write_file_meta_info(file, meta, enforce_standard=True)
    return file.getvalue()
