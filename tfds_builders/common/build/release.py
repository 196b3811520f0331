"""Find the folder of a release on the user's disk."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded
from tfds_builders.common.tables import first

# Downloaded archives; if there is one, it has not been unpacked.
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
# What Windows leaves in any folder; a Mac's files begin with a dot.
_SYSTEM_FILES = ("thumbs.db", "desktop.ini")


def find_release(
    manual_dir: Path, is_release: Callable[[Path], bool], expected: str, hint: str
) -> Path:
    """The release's folder: `manual_dir` itself or a folder one or two levels inside.

    The level nearest to `manual_dir` wins.

    Args:
      is_release: whether a folder is the release's own.
      expected: what such a folder holds, for the message.
      hint: how to get it, for the message.

    Errors: InputError if there is none, or more than one on the same level.
    """
    manual_dir = expanded(manual_dir)
    if not manual_dir.exists():
        raise InputError(manual_dir, "there is no such folder", hint)
    if not manual_dir.is_dir():
        raise InputError(
            manual_dir,
            "a file, not a folder",
            f"Unpack it, then pass the folder. {hint}",
        )
    level = [manual_dir]
    for _ in range(3):
        found = [folder for folder in level if is_release(folder)]
        if len(found) > 1:
            raise InputError(
                manual_dir,
                f"{len(found)} releases: {first(str(f) for f in found)}",
                "Pass the folder of one of them.",
            )
        if found:
            return found[0]
        level = [child for folder in level for child in folders(folder)]
    inside = sorted(path.name for path in manual_dir.iterdir())
    packed = [n for n in inside if any(s in _ARCHIVES for s in Path(n).suffixes)]
    unpack = f"Unpack {first(packed, 3)} first. " if packed else ""
    raise InputError(
        manual_dir,
        f"no {expected} found; the folder contains {first(inside, 10) or 'nothing'}",
        unpack + hint,
    )


def folders(folder: Path) -> list[Path]:
    """Its visible sub-folders, sorted; [] if they cannot be read."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.is_dir() and not path.name.startswith((".", "__"))
        )
    except PermissionError:
        return []


def is_synthetic(release: Path) -> bool:
    """Whether a release, or the folder that holds it, is marked as a phantom."""
    return any((p / "SYNTHETIC.txt").exists() for p in (release, release.parent))


def files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Its visible files with one of the suffixes, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def others(folder: Path, suffixes: Iterable[str]) -> int:
    """How many visible files have none of the suffixes; `files` skips them."""
    return sum(
        path.suffix.lower() not in suffixes
        and not path.name.startswith(".")
        and path.name.lower() not in _SYSTEM_FILES
        and path.is_file()
        for path in folder.iterdir()
    )
