"""Which films are meant: files, folders, globs and zip archives, in a fixed order."""

from __future__ import annotations

import collections
import glob
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tfds_builders.common import archive, film
from tfds_builders.common.build import listing
from tfds_builders.common.errors import InputError
from tfds_builders.common.limits import Held
from tfds_builders.common.places import expanded, rejoined
from tfds_builders.image_folder.walk import files_below

_GLOB = ("*", "?", "[")
_SUFFIXES = (*film.PICTURE_SUFFIXES, *film.DICOM_SUFFIXES)
_LISTED = 10  # kinds of files that are not images


class Item(NamedTuple):
    """A film that has not been read.

    Attributes:
      path: as it is shown: of the file, or 'archive.zip/member'.
      example_id: its name, unique among the films.
      file: where it lies.
      member: of the archive that `file` is, or ''.
    """

    path: str
    example_id: str
    file: pathlib.Path
    member: str = ""

    @property
    def name(self) -> str:
        """For the workers, which name what fails."""
        return self.example_id


class Found(NamedTuple):
    """Attributes:
    items: the films, in order.
    skipped: {kind: how many} files in folders and archives that are no images.
    """

    items: list[Item]
    skipped: dict[str, int]


def find(texts: Sequence[str], output: pathlib.Path | None = None) -> Found:
    """The films of `--input`.

    Args:
      output: where pictures of them will be, which may lie in none of the folders.
      texts: paths and patterns, cut at the commas of the flag. In folders, and in
        archives, what is no image is left out; a file that is named itself is a film,
        whatever it is.

    Raises:
      InputError: there is no such file, or no film at all; or the output is in a
        folder of films, among which its pictures would be the next time.
    """
    skipped: collections.Counter[str] = collections.Counter()
    places: dict[tuple[pathlib.Path, str], None] = {}  # an ordered set
    for text in rejoined(list(texts), _exists):
        for path in _matching(text) if text.strip() else ():
            _check_output(path, output)
            places |= dict.fromkeys(_films(path, skipped))
    if not places:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in skipped.most_common(_LISTED))
        raise InputError(
            "--input",
            f"holds no film ({kinds or 'nothing'})",
            "give DICOM, PNG, JPEG, TIFF or WebP files, or folders or zip archives of "
            "them",
        )
    names = unique_names([_shown(*place) for place in places])
    items = [
        Item(_shown(file, member), name, file, member)
        for (file, member), name in zip(places, names, strict=True)
    ]
    return Found(items, dict(skipped.most_common()))


def content(item: Item) -> pathlib.Path | Held:
    """What `film.read_film` takes. Errors: InputError of a damaged archive."""
    return archive.read(item.file, item.member) if item.member else item.file


def unique_names(paths: Sequence[str]) -> list[str]:
    """A name for each path: its stem, or with so much of it that no other has it.

    Its folders come first, then its ending, which tells files of one folder apart.
    """
    parts = [path.replace("\\", "/").split("/") for path in paths]
    stems = [[*each[:-1], pathlib.PurePosixPath(each[-1]).stem] for each in parts]
    places: dict[str, int] = {}  # of the names that are given
    waiting = list(range(len(paths)))
    deepest = max(map(len, parts), default=0)
    for tails in (stems, parts):
        for depth in range(1, 1 + deepest):
            by_name = collections.defaultdict(list)
            for place in waiting:
                by_name["/".join(tails[place][-depth:])].append(place)
            alone = {n: same[0] for n, same in by_name.items() if len(same) == 1}
            places = alone | places
            waiting = sorted(set(waiting) - set(places.values()))
    names = list(paths)
    for name, place in places.items():
        names[place] = name
    return names


def _exists(text: str) -> bool:
    path = expanded(text)
    return path.exists() or (_is_pattern(text) and bool(_matches(text)))


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in _GLOB)


def _matches(text: str) -> list[str]:
    return sorted(glob.glob(str(expanded(text)), recursive=True))


def _matching(text: str) -> list[pathlib.Path]:
    path = expanded(text)
    if path.exists() or path.is_symlink():
        return [path]
    if text != text.strip():  # 'a.png, b.png'
        return _matching(text.strip())
    found = _matches(text) if _is_pattern(text) else []
    if not found:
        raise InputError(
            text,
            "no file matches it" if _is_pattern(text) else "there is no such file",
            "check --input: files, folders, patterns like 'films/*.dcm', zip archives",
        )
    return [pathlib.Path(each) for each in found]


def _check_output(path: pathlib.Path, output: pathlib.Path | None) -> None:
    if output and path.is_dir() and output.resolve().is_relative_to(path.resolve()):
        raise InputError(
            output,
            f"lies in {path}, a folder of --input: its pictures would be films",
            "give an --output beside that folder",
        )


def _films(path: pathlib.Path, skipped) -> Iterator[tuple[pathlib.Path, str]]:
    if path.is_dir():
        for file in sorted(files_below(path)):
            if _is_film(file):
                yield file, ""
            else:
                skipped[_kind(file.name, listing.kind_of(file))] += 1
    elif archive.is_archive(path):
        for member in archive.members(path):
            if _is_member_film(path, member):
                yield path, member
            else:
                skipped[_kind(member, "")] += 1
    else:
        yield path, ""


def _is_film(path: pathlib.Path) -> bool:
    if path.suffix.lower() in _SUFFIXES or listing.is_picture(path):
        return True
    if path.suffix and not path.suffix[1:].isdigit():  # the end of a UID is a number
        return False
    try:
        with path.open("rb") as file:
            return film.format_of(file.read(film.HEAD), "") == "dicom"
    except OSError:
        return False


def _is_member_film(path: pathlib.Path, member: str) -> bool:
    suffix = pathlib.PurePosixPath(member).suffix.lower()
    if suffix in _SUFFIXES:
        return True
    head = archive.head(path, member, film.HEAD)
    return bool(film.format_of(head, "")) and "DICOMDIR" not in member.upper()


def _kind(name: str, kind: str) -> str:
    return kind or pathlib.PurePosixPath(name).suffix.lower() or "without an ending"


def _shown(file: pathlib.Path, member: str) -> str:
    return f"{file}/{member}" if member else str(file)
