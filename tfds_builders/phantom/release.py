"""Writing a release folder so that a half-written one never looks complete."""

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from tfds_builders.common.errors import InputError

_WORKERS = 2


@contextmanager
def new_folder(out: Path):
    """A folder to write into, which becomes `out` when the block ends well."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "a folder that is not empty" if out.is_dir() else "a file"
        raise InputError(out, what, "Choose a new folder, or remove this one first.")
    partial = out.with_name(f".{out.name}.incomplete")
    try:
        if partial.exists():  # left behind by a run that was killed
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise InputError(
            out,
            f"the release cannot be written ({error})",
            "Free some space, or choose a folder that you may write to.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_all(make: Callable, items: Iterable, total: int, what: str) -> list:
    """[make(item) ...] in order, in threads, with a progress bar.

    Every item brings its own random stream, so that the threads change nothing.
    """
    items, results = iter(items), []
    bar = tqdm(total=total, desc=what, unit="image", mininterval=0.5)
    with bar, ThreadPoolExecutor(_WORKERS) as pool:
        # In chunks, so that an error or Ctrl-C does not wait for the whole queue.
        while chunk := list(islice(items, 4 * _WORKERS)):
            for result in pool.map(make, chunk):
                results.append(result)
                bar.update()
    return results


def mark_synthetic(folder: Path, command: str) -> None:
    """Write SYNTHETIC.txt, by which people and builders recognise a phantom."""
    (folder / "SYNTHETIC.txt").write_bytes(
        b"SYNTHETIC PHANTOM IMAGES - NOT PATIENTS - NOT FOR CLINICAL USE\n\n"
        b"Every picture and every value in this folder was drawn by a program, in\n"
        b"the file format of a real release, to test software. Results on these\n"
        b"pictures say nothing about patients. Written by:\n\n"
        b"    " + command.encode() + b"\n"
    )
