"""Synthetic chest films in the exact file formats of the real releases.

The images are drawn by a program: they serve to try and test the software without
any patient's data, and results on them say nothing about patients.
"""

import importlib
from pathlib import Path

from tfds_builders import DATASETS
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded
from tfds_builders.phantom.release import mark_synthetic, new_folder


def write_release(
    kind: str,
    out,
    n: int,
    seed: int = 0,
    size: int | None = None,
    layout: str | None = None,
) -> Path:
    """Write a synthetic release of `n` images; the same arguments, the same bytes.

    Args:
      kind: the dataset whose release it imitates.
      out: a new or empty folder, which holds what the real archive unpacks to; `~`
        is the home folder.
      size: longest side of the pictures in pixels; None is the kind's own size.
      layout: which edition of the release; None is the current one.

    Returns:
      The release folder: `out` itself, or the folder in it that the real archive
      has. It holds SYNTHETIC.txt.

    Raises:
      InputError: an unknown kind or layout, a bad number (each kind has a smallest
        `n`: one image per class), or `out` is not empty.
    """
    out = expanded(out)
    if kind not in DATASETS:
        known = ", ".join(DATASETS)
        raise InputError("phantom", f"unknown dataset {kind!r}", f"Use one of {known}.")
    release = importlib.import_module(f"tfds_builders.phantom.{kind}")
    layout = release.LAYOUTS[0] if layout is None else layout
    size = release.SIZE if size is None else size
    if layout not in release.LAYOUTS:
        known = ", ".join(release.LAYOUTS)
        raise InputError("--layout", f"{layout!r} for {kind}", f"Use one of {known}.")
    if n < release.LEAST:
        raise InputError(
            "--n", f"{n} images of {kind}", f"Use at least {release.LEAST}."
        )
    if seed < 0:
        raise InputError("--seed", f"{seed}", "Use 0 or more.")
    if not 32 <= size <= 4096:
        raise InputError("--size", f"{size} pixels", "Use 32 to 4096.")
    with new_folder(out) as partial:
        folder = release.write(partial, n, seed, size, layout)
        mark_synthetic(
            folder,
            f"python -m tfds_builders.phantom {kind} OUT --n={n} --seed={seed}"
            f" --size={size} --layout={layout}",
        )
        inside = folder.relative_to(partial)
    return out / inside
