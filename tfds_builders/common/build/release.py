"""Find the folder of a release on the user's disk."""

from collections.abc import Callable
from pathlib import Path

from tfds_builders.common.build.listing import folders, visible
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded
from tfds_builders.common.tables import first

# Downloaded archives; if there is one, it has not been unpacked.
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


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
    level, unreadable = [manual_dir], []

    def readable(folder: Path) -> bool:
        try:
            return is_release(folder)
        except InputError as error:
            unreadable.append(error)
            return False

    visible(manual_dir)  # so that it is named if it cannot be read
    for _ in range(3):
        found = [folder for folder in level if readable(folder)]
        if len(found) > 1:
            raise InputError(
                manual_dir,
                f"{len(found)} releases: {first(str(f) for f in found)}",
                "Pass the folder of one of them.",
            )
        if found:
            return found[0]
        inside = []
        for folder in level:
            try:
                inside += folders(folder)
            except InputError as error:
                unreadable.append(error)
        level = inside
    if unreadable:  # the release may be in one of them
        raise unreadable[0]
    inside = [path.name for path in visible(manual_dir)]
    packed = [n for n in inside if any(s in _ARCHIVES for s in Path(n).suffixes)]
    unpack = f"Unpack {first(packed, 3)} first. " if packed else ""
    raise InputError(
        manual_dir,
        f"no {expected} found; the folder contains {first(inside, 10) or 'nothing'}",
        unpack + hint,
    )


def is_synthetic(release: Path) -> bool:
    """Whether a release, or the folder that holds it, is marked as a phantom."""
    return any((p / "SYNTHETIC.txt").exists() for p in (release, release.parent))
