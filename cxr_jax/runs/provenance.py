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
from cxr_jax.runs import forms, own_digest, results_file, seal
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.forms import RESTORE, check

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

# Of `builders.describe`: what has to stay as it is, besides sizes and digests.
_SAME = {
    "name": "dataset",
    "synthetic": "synthetic",
    "polarity": "built with --polarity",
}


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
    if not path.exists() or not results_file.has_begun(path.parent):
        _write(path, now)
        return
    first = read(path)
    first.pop("digest", None)
    changed = differences(first["dataset"], dataset)
    if changed:
        raise InputError(
            path.parent,
            "has begun on other data:\n  " + "\n  ".join(changed),
            "restore the original data, or start a new --workdir",
        )
    later = first.pop("resumed", [])
    if changes:
        now["changes"] = changes.splitlines()
    if now != (later or [first])[-1]:
        first["resumed"] = [*later, now]
        _write(path, first)


def read(path: pathlib.Path) -> dict[str, Any]:
    """What `save` wrote.

    Raises:
      InputError: it is not there, or is not what was written.
    """
    content = files.read_json(path, missing=RESTORE, damaged=RESTORE)
    seal.check_own(path, content)
    check(path, content, forms.PROVENANCE)
    return content


def _write(path: pathlib.Path, content: dict[str, Any]) -> None:
    content = config_lib.plain(content)
    files.write_text(path, json.dumps(own_digest.seal(content), indent=2) + "\n")


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


def check_same_build(workdir: pathlib.Path, dataset: dict[str, Any]) -> None:
    """Refuses another build of the dataset of a run: other pixels under its name.

    Args:
      workdir: of the run.
      dataset: of `builders.describe`; another dataset than the run's is not compared.

    Raises:
      InputError: what differs.
    """
    path = workdir / "provenance.json"
    if not path.exists():
        return
    first = read(path)["dataset"]
    if first.get("name") != dataset["name"]:
        return
    changed = differences(first, dataset)
    if changed:
        raise InputError(
            workdir,
            "was trained on another build of its dataset:\n  " + "\n  ".join(changed),
            "restore the original data; or, to evaluate on the other build on purpose, "
            "keep it in another folder and give that as --data_dir",
        )


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two descriptions of data, in words; [] if nothing does.

    Roles are compared that both have. Datasets that were built without a digest of
    their pixels are told apart by the size of their files.
    """
    found = [
        f"{text}: {then[key]}, and now {now[key]}"
        for key, text in _SAME.items()
        if key in then and key in now and then[key] != now[key]
    ]
    if not (then.get("pixels") and now.get("pixels")):
        found += _other("size of the split", then.get("built"), now.get("built"))
    elif then["pixels"] != now["pixels"]:
        found.append(f"pixels: {then['pixels'][:8]}, and now {now['pixels'][:8]}")
    roles = then.get("roles", {}).keys() & now.get("roles", {}).keys()
    for role in sorted(roles):
        found += role_differences(role, then["roles"][role], now["roles"][role])
    return found


def role_differences(role: str, then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two `split.fingerprint`s of one role."""
    found = []
    for key in sorted(then.keys() | now.keys()):
        one, other = then.get(key), now.get(key)
        if one == other or (key == "pixels" and not (one and other)):
            continue
        name = {"sha256": "columns (labels, patients, ...)"}.get(key, key)
        short = [v[:8] if isinstance(v, str) else v for v in (one, other)]
        found.append(f"{name} of {role}: {short[0]}, and now {short[1]}")
    return found


def _other(text: str, then: Any, now: Any) -> list[str]:
    if then is None or now is None:
        return []
    return [
        f"{text} {key}: {then.get(key)}, and now {now.get(key)}"
        for key in sorted(then.keys() | now.keys())
        if then.get(key) != now.get(key)
    ]


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
