"""The gate of a run as it is kept beside it: `gate.json`."""

from __future__ import annotations

import json
import pathlib

from cxr_jax.gate import gate_file
from cxr_jax.gate.fitted import Gate
from tfds_builders.common import files

FILE = "gate.json"
_DAMAGED = "remove it: the gate is fitted again"


def read(workdir: pathlib.Path, run_digest: str) -> Gate | None:
    """The gate of a run; None where it has none, or that of other results.

    Raises:
      InputError: the file is damaged.
    """
    path = workdir / FILE
    if not path.exists():
        return None
    content = files.read_json(path, missing=_DAMAGED, damaged=_DAMAGED)
    if content.get("run_digest") != run_digest:
        return None
    return gate_file.from_json(content.get("gate", {}), path)


def write(workdir: pathlib.Path, run_digest: str, gate: Gate) -> None:
    """Keeps it. Raises InputError where the folder cannot be written."""
    content = {"run_digest": run_digest, "gate": gate_file.to_json(gate)}
    files.write_text(workdir / FILE, json.dumps(content) + "\n")
