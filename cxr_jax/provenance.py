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

from cxr_jax import files

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


def save(path: pathlib.Path, datasets: list[dict[str, Any]]) -> None:
    """Writes `provenance.json`; what changed before a later start is added to it."""
    now = collect(datasets)
    if not path.exists():
        files.write_text(path, json.dumps(now, indent=2) + "\n")
        return
    first = json.loads(path.read_text())
    later = first.pop("resumed", [])
    if now != (later or [first])[-1]:
        first["resumed"] = [*later, now]
        files.write_text(path, json.dumps(first, indent=2) + "\n")


def collect(datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """JSON of everything that a result depends on beside the config.

    Args:
      datasets: one `source.describe` each.
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
        "datasets": datasets,
    }


def git_revision() -> dict[str, Any]:
    """The commit of this code and whether files differ from it; None without git."""
    root = pathlib.Path(__file__).resolve().parent.parent

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
