"""What a folder of a release holds, without what systems leave in any folder.

A file is known by its content: an ending says what its owner believes.
"""

import collections
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tfds_builders.common.errors import InputError

# Left by Windows; by NAS (Synology, QNAP, NetApp); by Linux. What begins with a dot is
# a Mac's, a snapshot's, a trash's; what begins with __ a Mac's archive's or Python's.
_LEFTOVERS = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin"),
    *("system volume information", "icon\r"),
    *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "@sharesnap"),
    *("#recycle", "#snapshot", "~snapshot", "lost+found"),
    *("network trash folder", "temporary items"),
)
_HEAD = 132
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}
_NOT_PICTURES = {
    b"%PDF": "PDF",
    b"PK\x03\x04": "zip, docx or xlsx",
    b"\x1f\x8b": "gzip",
    b"version https://git-lfs": "Git LFS pointer",
}
# By the endings that a builder asks for.
_KIND_OF = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".dcm": "DICOM"}


def is_leftover(name: str) -> bool:
    """Whether a file or folder was left by a system and not put there by a person."""
    lower = name.lower()
    return name.startswith((".", "__", "~$", "@__thumb")) or lower in _LEFTOVERS


def visible(folder: Path) -> list[Path]:
    """What a folder contains, sorted, without leftovers.

    Errors: InputError if it cannot be read.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise InputError(
            folder,
            f"cannot be read ({error.strerror})",
            "Get permission to read it, or copy it again."
            if isinstance(error, PermissionError)
            else "Check the path and the disk.",
        ) from error
    return sorted(Path(folder) / name for name in names if not is_leftover(name))


def folders(folder: Path) -> list[Path]:
    """Its visible sub-folders, sorted. Errors: see `visible`."""
    return [path for path in visible(folder) if path.is_dir()]


def files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Its visible files with one of the suffixes, or with content of that kind."""
    return [path for path in visible(folder) if _is_wanted(path, tuple(suffixes))]


def skipped(places: Mapping[str, Path], suffixes: Iterable[str]) -> dict[str, int]:
    """Counts of the visible files that `files` leaves out, by place and kind.

    Args:
      places: {class or split: folder}.
    """
    suffixes, total = tuple(suffixes), 0
    counts: collections.Counter[str] = collections.Counter()
    for place, folder in places.items():
        for path in visible(folder):
            if path.is_file() and not _is_wanted(path, suffixes):
                total += 1
                counts[skipped_key(place, path)] += 1
    return {"files_not_images": total, **dict(sorted(counts.items()))}


def skipped_key(place: str, path: Path) -> str:
    """The key of the count of such files in a class or split."""
    return f"files_skipped:{place} ({kind_of(path) or path.suffix or 'no ending'})"


def is_picture(path: Path) -> bool:
    """Whether its content is a picture in any format, or DICOM."""
    kind = kind_of(path)
    return kind in ("DICOM", "WebP", "HEIC") or kind in _PICTURES.values()


def kind_of(path: Path) -> str:
    """'PNG', 'JPEG', 'DICOM', 'WebP', 'PDF', ... by content; '' if it is none of them."""
    try:
        if not path.is_file():  # a pipe would wait for ever
            return ""
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return ""
    if head[128:132] == b"DICM":  # PS3.10, 7.1
        return "" if path.name.upper() == "DICOMDIR" else "DICOM"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif"):
        return "HEIC"
    known = {**_PICTURES, **_NOT_PICTURES}
    return next((kind for start, kind in known.items() if head.startswith(start)), "")


def child(folder: Path, name: str) -> Path:
    """`folder / name`, or the only one there of that name in another case."""
    exact = Path(folder) / name
    try:
        names = os.listdir(folder)
    except OSError:
        return exact
    same = [n for n in names if n.casefold() == name.casefold() and not is_leftover(n)]
    return Path(folder) / same[0] if name not in names and len(same) == 1 else exact


def by_name(pictures: Iterable[Path], names: Iterable[str]) -> dict[str, Path]:
    """The picture that a table means by each name; names without one are left out.

    `x.JPG` may be `x.jpg` on disk; and tables name files without their ending, or with
    that of another format.
    """
    pictures, names = list(pictures), list(dict.fromkeys(names))
    found = _paired({path.name: [path] for path in pictures}, {n: [n] for n in names})
    for key_of_path, key_of_name in (
        (lambda path: path.name.casefold(), str.casefold),
        (lambda path: path.stem.casefold(), _stem),
    ):
        used = set(found.values())
        rest = _grouped((p for p in pictures if p not in used), key_of_path)
        found |= _paired(
            rest, _grouped((n for n in names if n not in found), key_of_name)
        )
    return {name: found[name] for name in names if name in found}


def _stem(name: str) -> str:
    """Without an ending of a picture: what follows another dot is part of a name."""
    ending = Path(name).suffix.lower() in _KIND_OF
    return (Path(name).stem if ending else name).casefold()


def _grouped(members: Iterable, key: Callable) -> dict[str, list]:
    found = collections.defaultdict(list)
    for member in members:
        found[key(member)].append(member)
    return found


def _paired(pictures: dict[str, list], names: dict[str, list]) -> dict[str, Path]:
    """Where one picture and one name have a key: no picture is that of two names."""
    return {
        wanted[0]: pictures[key][0]
        for key, wanted in names.items()
        if len(wanted) == 1 and len(pictures.get(key, ())) == 1
    }


def renamed(found: Mapping[str, Path]) -> dict[str, int]:
    """The count of names of `by_name` that are not those of the files."""
    return {"names_unlike_files": sum(n != path.name for n, path in found.items())}


def _is_wanted(path: Path, suffixes: tuple[str, ...]) -> bool:
    if path.suffix.lower() in suffixes:
        return True
    kinds = {_KIND_OF[suffix] for suffix in suffixes}
    kind = kind_of(path)
    # Pictures in a format that cannot be read are rejected by name, not skipped.
    return kind in kinds or (kind != "DICOM" and kind != "" and is_picture(path))
