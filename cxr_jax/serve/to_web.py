"""Results to an archive by DICOMweb: STOW-RS (PS3.18, 10.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import pydicom
import requests
from dicomweb_client import DICOMwebClient
from pydicom.errors import InvalidDicomError

from cxr_jax.serve.journal import ResultRow
from cxr_jax.serve.options import Tls, Web
from cxr_jax.serve.spool import Spool
from cxr_jax.serve.to_peer import Unreachable

_SECONDS = (10.0, 60.0)  # to connect, and of silence
_CONFLICT, _DUPLICATE = 409, 0x0111  # PS3.18, table 10.5.3-1; PS3.7, annex C


def deliver(
    web: Web,
    tls: Tls | None,
    spool: Spool,
    rows: Sequence[ResultRow],
    begin: Callable[[ResultRow], None],
) -> Iterator[tuple[ResultRow, str]]:
    """Sends results, each in a request of its own.

    One whose sending was cut off is sent again: it is the same bytes under the same
    UID, which an archive has already.

    Args:
      web: the archive.
      tls: the node's own certificate, and who signs the archive's; None for those
        that the system trusts.
      spool: where the results are.
      rows: the results.
      begin: is called before each is sent.

    Yields:
      (row, '' or why it is not there), after each.

    Raises:
      Unreachable: nothing answers, or not as an archive does.
    """
    client = _client(web, tls)
    for row in rows:
        try:
            made = pydicom.dcmread(spool.path / row.file)
        except (OSError, InvalidDicomError) as error:
            yield row, f"its file cannot be read ({type(error).__name__})"
            continue
        begin(row)
        yield row, _send(web, client, made)


def _client(web: Web, tls: Tls | None) -> DICOMwebClient:
    # It logs what it sends, and an error of the archive, which may quote a header.
    logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL)
    session = requests.Session()
    session.max_redirects = 0  # a film that follows one would be lost, as a GET
    if tls is not None:
        session.cert = (str(tls.certificate), str(tls.key))
        if tls.authority is not None:
            session.verify = str(tls.authority)
    client = DICOMwebClient(web.url, session=session, timeout=_SECONDS)
    client.set_http_retry_params(retry=False)  # the journal says when to try again
    return client


def _send(web: Web, client: DICOMwebClient, made: pydicom.Dataset) -> str:
    try:
        answer = client.store_instances([made])
    except requests.HTTPError as error:
        return _refused(error.response)
    except requests.JSONDecodeError:
        return "an answer that is not understood"
    except (requests.RequestException, OSError) as error:
        raise Unreachable(f"{web}: does not answer ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001  # an answer that is no DICOM
        return f"an answer that is not understood ({type(error).__name__})"
    if reasons := _reasons(answer):
        return f"failure {', '.join(f'0x{each:04X}' for each in reasons)}"
    # A page to log in is a 200 too.
    stored = answer.get("ReferencedSOPSequence") or ()
    names = [each.get("ReferencedSOPInstanceUID") for each in stored]
    return "" if made.SOPInstanceUID in names else "it does not say that it has it"


def _refused(response: requests.Response | None) -> str:
    """Why, or '' where it has another copy under that UID: they are the same bytes."""
    status = 0 if response is None else response.status_code
    if response is not None and status == _CONFLICT:
        try:
            found = _reasons(pydicom.Dataset.from_json(response.json()))
        except Exception:  # noqa: BLE001  # an answer that is no DICOM
            found = []
        if found and set(found) == {_DUPLICATE}:
            return ""
    return f"status {status}"


def _reasons(answer: pydicom.Dataset) -> list[int]:
    """FailureReason of what was not stored."""
    failed = answer.get("FailedSOPSequence") or ()
    return [int(each.get("FailureReason", 0)) for each in failed]
