"""The process that scores: films by name in, results in the spool out.

It is one of its own, because a decoder may crash or hang on a film, and the node has to
go on receiving. It ends when the node does. What it is told and what it answers are
JSON, over one end of a pair of sockets.

`python -m cxr_jax.serve.scoring_process DESCRIPTOR` is started by `scorers`.
"""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import shutil
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cv2
import pydicom

from cxr_jax.bundle import loaded
from cxr_jax.bundle.loaded import Bundle
from cxr_jax.predict import scoring
from cxr_jax.serve import objects, scored
from cxr_jax.serve.journal import Made
from cxr_jax.serve.node_log import quiet
from tfds_builders.common import files
from tfds_builders.common.dicom import file as dicom_file
from tfds_builders.common.errors import InputError


class Work(NamedTuple):
    """What is the same for each film: the first message.

    Attributes:
      bundle, spool: folders.
      kinds: of `options.KINDS`.
      gate: of `scoring.MODES`.
      threads: of ONNX Runtime and OpenCV.
    """

    bundle: str
    spool: str
    kinds: list[str]
    gate: str
    threads: int


def main(descriptor: int) -> int:
    """Answers until the other end is closed; returns the exit code."""
    quiet()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the node ends it, after the last film
    connection = Connection(descriptor)
    work = Work(**json.loads(connection.recv_bytes()))
    try:
        cv2.setNumThreads(work.threads)
        bundle = loaded.load(work.bundle, threads=work.threads)
        scoring.check_gate(bundle.scorer, work.gate)
    except InputError as error:
        _send(connection, {"fault": [error.where, error.found, error.hint]})
        return 1
    _send(connection, {"ready": True})
    try:
        while True:
            film = json.loads(connection.recv_bytes())
            _send(connection, _answer(work, bundle, film))
    except (EOFError, OSError):  # the node has ended
        return 0


def _send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _answer(work: Work, bundle: Bundle, film: dict[str, str]) -> dict[str, Any]:
    """{'gate', 'made'}; {'error'} of a film that cannot be read; {'later'}, {'crash'}."""
    try:
        return _score(work, bundle, film)
    except InputError as error:
        if isinstance(error.__cause__, OSError):  # the disk is full
            return {"later": error.found}
        return {"error": f"{error.found} -> {error.hint}"}
    # A fault of ours, whose text may quote the header.
    except Exception as error:  # noqa: BLE001
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{pathlib.Path(last.filename).name}:{last.lineno}"
        return {"crash": f"{type(error).__name__} at {place}"}


def _score(work: Work, bundle: Bundle, film: dict[str, str]) -> dict[str, Any]:
    spool = pathlib.Path(work.spool)
    path = spool / film["file"]
    result = scored.score_film(bundle, path, film["sop"], work.gate)
    if result.record["error"]:
        return {"error": result.record["error"]}
    header = dicom_file.open_dicom(path)
    made = objects.make(header, result, bundle, work.kinds)
    folder = spool / film["results"]
    if folder.exists():  # of a process that was killed
        shutil.rmtree(folder)
    rows = [
        _written(spool, folder / f"{number}.dcm", each)
        for number, each in enumerate(made)
    ]
    files.sync_folder(folder)
    files.sync_folder(folder.parent)
    return {"gate": result.record["gate"], "made": rows}


def _written(
    spool: pathlib.Path, path: pathlib.Path, made: pydicom.Dataset
) -> list[Any]:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    content = buffer.getvalue()
    files.write_bytes(path, content)
    return list(
        Made(
            sop=str(made.SOPInstanceUID),
            sop_class=str(made.SOPClassUID),
            file=path.relative_to(spool).as_posix(),
            digest=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
        )
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
