"""Results into a folder, each under its SOPInstanceUID, whole or not at all."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

from cxr_jax.serve.journal import ResultRow
from cxr_jax.serve.spool import Spool
from tfds_builders.common import files
from tfds_builders.common.errors import InputError


def deliver(
    out: pathlib.Path, spool: Spool, rows: Sequence[ResultRow]
) -> Iterator[tuple[ResultRow, str]]:
    """Writes results; those that lie there already are left alone.

    Yields:
      (row, '' or why it is not there), after each.
    """
    for row in rows:
        try:
            _deliver(out, spool.path / row.file, row)
        except InputError as error:
            yield row, error.found
        except OSError as error:
            yield row, error.strerror or str(error)
        else:
            yield row, ""


def _deliver(out: pathlib.Path, source: pathlib.Path, row: ResultRow) -> None:
    target = out / f"{row.sop}.dcm"
    if target.exists() and files.sha256(target) != row.digest:
        # Nothing is written over that others may have begun to read.
        target = out / f"{row.sop}-{row.digest[:12]}.dcm"
    if not target.exists():
        files.write_bytes(target, source.read_bytes())
        files.sync_folder(out)
