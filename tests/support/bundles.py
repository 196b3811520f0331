"""Bundles that a test may change."""

import pathlib
import shutil

from cxr_jax.bundle import digests
from tfds_builders.common import files


def copied(bundle: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A copy that a test may change."""
    return pathlib.Path(shutil.copytree(bundle, folder / "copy"))


def resealed(bundle: pathlib.Path) -> pathlib.Path:
    """The same after its SHA256SUMS were written again."""
    paths = [p for p in sorted(bundle.rglob("*")) if p.is_file()]
    lines = [
        f"{files.sha256(p)}  {p.relative_to(bundle).as_posix()}\n"
        for p in paths
        if p.name != digests.SUMS
    ]
    (bundle / digests.SUMS).write_text("".join(lines))
    return bundle
