"""Results to another node by C-STORE."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence

import pydicom
from pydicom.errors import InvalidDicomError
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from cxr_jax.serve.journal import SENDING, ResultRow
from cxr_jax.serve.options import Peer
from cxr_jax.serve.spool import Spool

_CONNECT, _ANSWER = 10.0, 60.0  # seconds
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"  # Study Root, find
_IDENTITY = (
    "SOPClassUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
)


class Unreachable(Exception):
    """The node cannot be reached, or turns us away: none of the results went."""


def deliver(
    peer: Peer,
    aet: str,
    tls: ssl.SSLContext | None,
    spool: Spool,
    rows: Sequence[ResultRow],
    begin: Callable[[ResultRow], None],
) -> Iterator[tuple[ResultRow, str]]:
    """Sends results in one association.

    A result whose sending was cut off may be there already: the node is asked, if it
    answers questions, and it is sent again only where it is not.

    Args:
      peer: the node.
      aet: title of this node.
      tls: of `certificates.of_client`, or None.
      spool: where the results are.
      rows: the results.
      begin: is called before each is sent.

    Yields:
      (row, '' or why it is not there), after each.

    Raises:
      Unreachable: before the first of them.
    """
    headers = {}
    for row in rows:
        try:
            headers[row.id] = pydicom.dcmread(
                spool.path / row.file, stop_before_pixels=True
            )
        except (OSError, InvalidDicomError) as error:
            yield row, f"its file cannot be read ({type(error).__name__})"
    if not headers:
        return
    association = _associate(peer, aet, tls, list(headers.values()))
    try:
        for row in rows:
            if row.id not in headers:
                continue
            if not association.is_established:
                yield row, "the association ended"
                continue
            if row.state == SENDING and _is_there(association, headers[row.id]):
                yield row, ""
                continue
            begin(row)
            yield row, _send(association, spool, row)
    finally:
        if association.is_established:
            association.release()


def _associate(peer: Peer, aet: str, tls, headers) -> Association:
    ae = AE(ae_title=aet)
    ae.connection_timeout = _CONNECT
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _ANSWER
    wanted = dict.fromkeys(
        (each.SOPClassUID, each.file_meta.TransferSyntaxUID) for each in headers
    )
    contexts = [build_context(uid, [syntax]) for uid, syntax in wanted]
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            [*contexts, build_context(_FIND)],
            ae_title=peer.aet,
            tls_args=None if tls is None else (tls, peer.host),
        )
    except (OSError, RuntimeError) as error:  # no such host
        raise Unreachable(f"{peer}: {error}") from None
    if not association.is_established:
        found = "turns us away" if association.is_rejected else "does not answer"
        raise Unreachable(f"{peer}: {found}")
    return association


def _send(association: Association, spool: Spool, row: ResultRow) -> str:
    try:
        status = association.send_c_store(spool.path / row.file).get("Status")
    except (ValueError, RuntimeError):  # no context for it, or no association any more
        return "its class or transfer syntax is not accepted there"
    if status is None:
        return "no answer"
    # Warnings (PS3.4, table B.2-1): it is stored, some elements changed or left out.
    is_stored = status == 0 or status == 1 or 0xB000 <= status <= 0xBFFF
    return "" if is_stored else f"status 0x{status:04X}"


def _is_there(association: Association, header: pydicom.Dataset) -> bool:
    question = pydicom.Dataset()
    question.QueryRetrieveLevel = "IMAGE"
    for name in _IDENTITY[1:]:
        setattr(question, name, header.get(name, ""))
    try:
        answers = list(association.send_c_find(question, _FIND))
    except (ValueError, RuntimeError):  # it answers no questions
        return False
    return any(
        found is not None and found.get("SOPInstanceUID") == header.SOPInstanceUID
        for _, found in answers
    )
