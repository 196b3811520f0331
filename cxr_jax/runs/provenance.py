"""Where a number comes from: code, versions, data, device."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import platform
import subprocess
import sys
from typing import Any

import jax

from cxr_jax import config as config_lib
from cxr_jax.runs.workdir import has_begun
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "tensorflow-datasets",
    "array_record",
    "numpy",
    "scipy",
    "scikit-learn",
    "opencv-python-headless",
    "pydicom",
)


def save(
    path: pathlib.Path,
    dataset: dict[str, Any],
    origin: dict[str, Any] | None = None,
    changes: str = "",
) -> None:
    """Writes `provenance.json`; what changed before a later start is added to it.

    Args:
      path: of the file.
      dataset: of `builders.describe`, with the fingerprints of what was read.
      origin: of the config, {'file', 'overrides'}; see `config_arguments`.
      changes: of the config, that were allowed for this start.

    Raises:
      InputError: the run has begun on other data.
    """
    now = collect(dataset) | {"config": config_lib.plain(origin or {})}
    if not path.exists() or not has_begun(path.parent):
        files.write_text(path, json.dumps(now, indent=2) + "\n")
        return
    first = files.read_json(path, missing="start a new workdir")
    if first["dataset"] != dataset:
        raise InputError(
            path.parent,
            f"has begun on other data: {_summary(first['dataset'])}, and what is read "
            f"now is {_summary(dataset)}",
            "restore the original data, or start a new --workdir",
        )
    later = first.pop("resumed", [])
    if changes:
        now["changes"] = changes.splitlines()
    if now != (later or [first])[-1]:
        first["resumed"] = [*later, now]
        files.write_text(path, json.dumps(first, indent=2) + "\n")


def config_arguments(content: dict[str, Any]) -> list[str]:
    """['--config=FILE:ARGUMENTS', '--config.key=value', ...] of provenance.json.

    Empty where the run was not started by a command, or by an earlier version.
    """
    origin = content.get("config") or {}
    if not origin.get("file"):
        return []
    changed = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in origin["overrides"].items()
    }
    return [
        f"--config={origin['file']}",
        *(f"--config.{key}={value}" for key, value in changed.items()),
    ]


def _summary(dataset: dict[str, Any]) -> str:
    roles = ", ".join(
        f"{role} {found['images']} images ({found['sha256'][:8]})"
        for role, found in dataset["roles"].items()
    )
    return f"{dataset['name']} with {roles}"


def collect(dataset: dict[str, Any]) -> dict[str, Any]:
    """JSON of everything that a result depends on beside the config.

    Args:
      dataset: of `builders.describe`, with the fingerprints of what was read.
    """
    return {
        "command": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": git_revision(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": {
            "platform": jax.default_backend(),
            "kind": jax.devices()[0].device_kind,
            "count": jax.device_count(),
            "processor": platform.machine(),
        },
        "dataset": dataset,
    }


def git_revision() -> dict[str, Any]:
    """The commit of this code and whether files differ from it; None without git."""
    root = pathlib.Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # An installed copy may lie inside the repository of another project.
    if git("rev-parse", "--show-toplevel") != str(root):
        return {"revision": None, "changed": None}
    status = git("status", "--porcelain", "--untracked-files=no")
    return {
        "revision": git("rev-parse", "HEAD"),
        "changed": None if status is None else bool(status),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
