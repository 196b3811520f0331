"""Classes and split folders of a tree of pictures, from the names of its folders."""

import collections
import itertools
import unicodedata
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.build.listing import folders, skipped_key, visible
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import SPLITS
from tfds_builders.common.tables import first, refuse
from tfds_builders.image_folder.masks import refuse_masks
from tfds_builders.image_folder.walk import files_below, is_picture

_SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# More folders with fewer pictures each are those of patients.
_MANY_CLASSES, _FEW_PICTURES = 20, 5


class Picture(NamedTuple):
    """One picture, and what its place in the tree says about it."""

    name: str  # the example_id
    path: Path
    file: str  # its path inside the release, with /
    label: str
    folder: str  # train, val, test, or '' where the tree has no split


class Tree(NamedTuple):
    """What a tree holds.

    Attributes:
      classes: sorted.
      pictures: sorted by name.
      parts: of train, val and test, in this order, those that there are folders of.
      counts: by key of counts.COUNTS.
      skipped: other files in the class folders.
    """

    classes: list[str]
    pictures: list[Picture]
    parts: tuple[str, ...]
    counts: dict[str, int]
    skipped: list[Path]


def is_release(folder: Path) -> bool:
    """Whether it holds split folders, or at least two others, with pictures."""
    holding = (inside for inside in folders(folder) if _holds_pictures(inside))
    found = [bool(_part(inside)) for inside in itertools.islice(holding, 2)]
    return any(found) or len(found) == 2


def read_tree(release: Path) -> Tree:
    """All pictures of a tree {train,val,test}/<class>/... or <class>/...

    Errors: InputError if a class has no images or is the only one, if the split
    folders have different classes, if there are masks among the images, or if a folder
    is ambiguous.
    """
    release = Path(release)
    parts, second = _parts(release)
    found: dict[str, dict[str, list[Path]]] = {}
    counts = collections.Counter(dict.fromkeys(_COUNTS, 0) | {_SECOND: second})
    spelling: dict[str, str] = {}
    skipped: list[Path] = []
    for part, folder in parts.items():
        inside = _classes(folder)
        loose = _loose(folder)
        pictures = {}
        for name, class_folder in inside.items():
            label = spelling.setdefault(name.casefold(), name)
            counts[_CASE] += label != name
            pictures[label], others = _pictures(class_folder)
            skipped += others
            counts[_OTHERS] += len(others)
            counts.update(skipped_key(label, path) for path in others)
            counts[_NESTED] += sum(p.parent != class_folder for p in pictures[label])
            _check_inside(class_folder, pictures[label], inside)
        if part and not any(pictures.values()) and not loose:
            counts[_ABSENT] += 1
            continue
        counts[_LOOSE] += loose
        found[part] = pictures
    if "" not in parts:
        counts[_LOOSE] += _loose(release)
    classes = _same_classes(release, found, counts[_LOOSE])
    pictures = sorted(
        _picture(release, path, label, part)
        for part, of_part in found.items()
        for label, paths in of_part.items()
        for path in paths
    )
    _check_names(release, pictures)
    refuse_masks(release, [picture.file for picture in pictures])
    _check_number(release, classes, pictures)
    parts_found = tuple(p for p in found if p)
    return Tree(classes, pictures, parts_found, dict(counts), sorted(skipped))


_OTHERS = "files_not_images"
_LOOSE = "images_outside_class_folders"
_NESTED = "images_in_nested_folders"
_ABSENT = "split_folders_empty"
_SECOND = "images_of_second_tree"
_CASE = "class_folders_of_other_case"
_COUNTS = (_OTHERS, _LOOSE, _NESTED, _ABSENT, _SECOND, _CASE)


def example_id(file: str) -> str:
    """The name of an example: its path with ~ between the folders.

    What a file name or a table might not keep is percent-encoded, ~ and % too, so
    that different paths have different names. Composed Unicode (NFC): a Mac
    decomposes the names that it unpacks.
    """
    text = unicodedata.normalize("NFC", file)
    last = len(text) - 1
    return "".join(
        "~"
        if character == "/"
        else "".join(f"%{byte:02X}" for byte in character.encode())
        if character in '%~\\:*?"<>|'
        or unicodedata.category(character) in ("Cc", "Zl", "Zp")
        or (at in (0, last) and character.isspace())
        else character
        for at, character in enumerate(text)
    )


def _part(folder: Path) -> str:
    """train, val or test; '' for any other folder."""
    return _SPELLINGS.get(folder.name.strip().lower(), "")


def _parts(release: Path) -> tuple[dict[str, Path], int]:
    """The split folders, or the release itself as '', and pictures of a second tree."""
    parts: dict[str, Path] = {}
    rest = []
    for folder in folders(release):
        part = _part(folder)
        if not part:
            rest.append(folder)
        elif part in parts:
            raise InputError(
                release,
                f"two folders of {part}: {parts[part].name} and {folder.name}",
                "Merge them, or move one out of the tree.",
            )
        else:
            parts[part] = _undoubled(folder)
    if not parts:
        return {"": release}, 0
    # A Kaggle archive may hold the whole tree twice, once inside of the other.
    trees = [f for f in rest if any(_part(inside) for inside in folders(f))]
    refuse(
        release,
        [f.name for f in rest if f not in trees and _holds_pictures(f)],
        f"folders of images are beside {', '.join(f.name for f in parts.values())}",
        "Class folders belong in the split folders: move these there, or out of the tree.",
    )
    second = sum(len(_pictures(folder)[0]) for folder in trees)
    return {part: parts[part] for part in SPLITS if part in parts}, second


def _undoubled(part: Path) -> Path:
    """train/train/, as archives are unpacked that hold a folder of their own name."""
    inside = folders(part)
    if [_part(folder) for folder in inside] == [_part(part)]:
        return inside[0]
    return part


def _classes(folder: Path) -> dict[str, Path]:
    """Class folders by name, sorted."""
    classes: dict[str, Path] = {}
    for inside in folders(folder):
        name = unicodedata.normalize("NFC", inside.name.strip())
        same = [known for known in classes if known.casefold() == name.casefold()]
        if same:
            raise InputError(
                folder,
                f"class folders whose names differ in capitals or spaces: "
                f"{classes[same[0]].name!r} and {inside.name!r}",
                "Merge them, or rename one.",
            )
        if not name or not name.isprintable():
            raise InputError(
                folder,
                f"a class folder whose name cannot be printed: {inside.name!a}",
                "Rename it.",
            )
        classes[name] = inside
    return dict(sorted(classes.items()))


def _pictures(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures anywhere below, sorted, and the other files there."""
    pictures, others = [], []
    for path in files_below(folder):
        (pictures if is_picture(path) else others).append(path)
    return sorted(pictures), others


def _loose(folder: Path) -> int:
    return sum(path.is_file() and is_picture(path) for path in visible(folder))


def _holds_pictures(folder: Path) -> bool:
    try:
        return any(map(is_picture, files_below(folder)))
    except InputError:  # reported later if the release needs the folder
        return False


def _check_inside(class_folder: Path, pictures: list[Path], classes) -> None:
    """Refuse class folders that hold split folders, or class folders again."""
    inside = {path.relative_to(class_folder).parts[:-1] for path in pictures}
    names = sorted({parts[0] for parts in inside if parts})
    refuse(
        class_folder,
        [name for name in names if _part(Path(name))],
        "split folders are inside a class folder",
        "Put the class folders into the split folders; of several datasets, pass one.",
    )
    refuse(
        class_folder,
        [name for name in names if name in classes],
        "folders have the name of a class folder beside it",
        "The tree may be unpacked twice: remove one copy; of several datasets, pass one.",
    )


def _same_classes(release: Path, found: dict[str, dict], loose: int) -> list[str]:
    """The classes, which all split folders have."""
    classes = sorted(set().union(*found.values()))
    if any(set(of_part) != set(classes) for of_part in found.values()):
        there = "; ".join(
            f"{part}: {first(of_part, 10) or 'no folders'}"
            for part, of_part in found.items()
        )
        raise InputError(
            release,
            f"the class folders of the split folders differ ({there})",
            "Give the folders of one class the same name everywhere, and move others "
            "out. If a split folder has no image of a class, add an empty folder.",
        )
    empty = [c for c in classes if not any(found[part][c] for part in found)]
    refuse(
        release,
        empty,
        "class folders contain no PNG, JPEG or DICOM",
        "Unpack the data again, or move out what is not a class folder.",
    )
    if len(classes) < 2:
        raise InputError(
            release,
            f"only one class: {classes[0]}"
            if classes
            else f"no class folders ({loose} images outside of any)",
            "Two or more class folders are needed, one for each label.",
        )
    return classes


def _picture(release: Path, path: Path, label: str, part: str) -> Picture:
    file = path.relative_to(release).as_posix()
    try:
        file.encode()
    except UnicodeEncodeError:
        raise InputError(
            release,
            f"a file name that is not UTF-8: {file!a}",
            "Rename it (convmv -r -f cp1252 -t utf8 --notest DIR renames all).",
        ) from None
    return Picture(example_id(file), path, file, label, part)


def _check_names(release: Path, pictures: list[Picture]) -> None:
    refuse(
        release,
        (a.file for a, b in itertools.pairwise(pictures) if a.name == b.name),
        "names appear in composed and in decomposed Unicode",
        "Remove or rename one of the two.",
    )


def _check_number(release: Path, classes, pictures) -> None:
    number = len(classes)
    if number > _MANY_CLASSES and len(pictures) < _FEW_PICTURES * number:
        raise InputError(
            release,
            f"{number} class folders with {len(pictures)} images: {first(classes)}",
            "These look like folders of patients: put them into class folders.",
        )
