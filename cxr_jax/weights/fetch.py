"""Downloads public weights: python -m cxr_jax.weights.fetch resnet18."""

from __future__ import annotations

import hashlib
import os
import pathlib
import urllib.error
import urllib.request

from absl import flags
from tqdm import tqdm

from cxr_jax.weights.published import PUBLISHED, Published
from tfds_builders.common import command, places
from tfds_builders.common.errors import InputError

_PART = 1 << 20
_SECONDS = 30


def fetch(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The file of these weights in the folder, downloaded if it is not there.

    A file that is there is checked against the published checksum too. A file gets its
    name only once it is complete and correct.

    Raises:
      InputError: an unknown name, no network, or another checksum.
    """
    known = published(name)
    path = folder / known.url.rsplit("/", 1)[-1]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            _download(known, partial, path)
            check(partial, known)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    check(path, known)
    return path


def published(name: str) -> Published:
    """The record of these weights.

    Raises:
      InputError: an unknown name.
    """
    if name not in PUBLISHED:
        raise InputError(
            name, "are not known weights", f"choose from: {', '.join(PUBLISHED)}"
        )
    return PUBLISHED[name]


def check(path: pathlib.Path, known: Published) -> None:
    """Refuses a file whose checksum is not the published one."""
    algorithm, _, digits = known.checksum.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if not found.startswith(digits):
        raise InputError(
            path,
            f"has {algorithm} {found}, but the published one is {digits}",
            "it is damaged or another file: delete it and download it again",
        )


def _download(known: Published, partial: pathlib.Path, path: pathlib.Path) -> None:
    try:
        with (
            urllib.request.urlopen(known.url, timeout=_SECONDS) as answer,
            partial.open("wb") as file,
            tqdm(
                total=int(answer.headers.get("Content-Length", 0)) or None,
                unit="B",
                unit_scale=True,
                desc=path.name,
                disable=None,
            ) as progress,
        ):
            while part := answer.read(_PART):
                file.write(part)
                progress.update(len(part))
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise InputError(
            known.url,
            f"cannot be reached ({getattr(error, 'reason', error)})",
            f"download it where there is a network, and put it at {path}",
        ) from None


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    folder = places.expanded(values.folder)
    if len(argv) == 1:
        for name, known in PUBLISHED.items():
            print(f"{name:18} {known.checksum[:18]:18} {known.url}")
        return
    for name in argv[1:]:
        known = published(name)
        print(f"{known.url}\n  {known.checksum}", flush=True)
        path = fetch(name, folder)
        print(
            f"{path}\n  --config.model.name={known.model} "
            f"--config.model.style={known.style} --config.init_from={path}"
        )


if __name__ == "__main__":
    flags.DEFINE_string("folder", "~/.cache/cxr_jax/weights", "where to keep them")
    command.run(main)
