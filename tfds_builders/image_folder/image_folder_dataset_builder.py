"""Builder of any tree of class folders. What it makes of one is in README.md."""

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common.build.builder import Plan, ReleaseBuilder, by_class
from tfds_builders.common.build.listing import kind_of
from tfds_builders.common.errors import InputError
from tfds_builders.common.grouping import grouping
from tfds_builders.common.patient_names import (
    Candidate,
    from_names,
    suggestions,
)
from tfds_builders.common.splits import by_split, split_of, train_or_val
from tfds_builders.image_folder import leakage
from tfds_builders.image_folder.contents import Contents
from tfds_builders.image_folder.film import Film, contents_of, digests, grey, read
from tfds_builders.image_folder.tree import (
    Picture,
    Tree,
    is_release,
    read_tree,
)


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """The longer side of the stored images; their depth; whose split."""

    size: int = 512
    bits: int = 8
    original_split: bool = False


def _config(size: int, bits: int = 8, original: bool = False) -> Config:
    name, text = str(size), f"longer side at most {size} pixels"
    if bits == 16:
        name += "_16bit"
        text += "; 16 bits, of which only DICOM uses more than 8"
    if original:
        name += "_original_split"
        text += "; train and test as in the folders: copies and patients leak"
    return Config(
        name=name, description=text, size=size, bits=bits, original_split=original
    )


class Builder(ReleaseBuilder):
    """TFDS builder; reads {train,val,test}/<class>/... or <class>/..."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [
        *(_config(size) for size in (512, 256)),
        *(_config(size, original=True) for size in (512, 256)),
        *(_config(size, bits=16) for size in (512, 256)),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    1. Put the pictures (PNG, JPEG or DICOM) into one folder for each class:
         my-folder/NORMAL/...      or  my-folder/train/NORMAL/...
         my-folder/PNEUMONIA/...       my-folder/train/PNEUMONIA/...
                                       my-folder/test/NORMAL/...   and so on
    2. python -m tfds_builders.build image_folder --manual_dir=my-folder
    """

    EXPECTED = (
        "tree of class folders (two or more folders with pictures, or train and test "
        "with such folders in them)"
    )
    is_release = staticmethod(is_release)

    def features(self) -> dict:
        """See README.md."""
        text, number = tfds.features.Text(), np.int32
        sixteen = self.builder_config.bits == 16
        return {
            "image": tfds.features.Image(
                shape=(None, None, 1),
                dtype=np.uint16 if sixteen else np.uint8,
                encoding_format="png",
            ),
            # The names come with the tree (`plan`), or with a prepared dataset.
            "label": tfds.features.ClassLabel(),
            "file": text,
            "split_folder": text,
            "format": text,
            "rows": number,
            "columns": number,
            "coloured": number,
            "view": text,
            "sex": text,
            "age": np.float32,
            "manufacturer": text,
            "modality": text,
            "photometric_interpretation": text,
        }

    def find_release(self, manual_dir: Path) -> Path:
        """The tree's own folder.

        Errors: InputError also where this dataset is prepared, but of another tree.
        """
        found = super().find_release(manual_dir)
        prepared = (self.info.metadata or {}).get("files")
        if prepared is not None and prepared != _listing(read_tree(found).pictures):
            raise InputError(
                self.data_dir,
                f"already prepared from other files than those of {found}",
                "Choose another --data_dir, or remove that folder and build again.",
            )
        return found

    def plan(self, release: Path) -> Plan:
        """All pictures; near-duplicates and patients stay together."""
        tree = read_tree(release)
        original = self.builder_config.original_split
        if original:
            _check_split(release, tree.parts)
        self.info.features["label"].names = tree.classes
        self.info.metadata["files"] = _listing(tree.pictures)
        films = self._films_of(tree.pictures)
        named, same_id = _named(films)
        pattern = self.options.patients_from
        if pattern:
            named |= from_names(pattern, {p.name: p.file for p in tree.pictures})
        polarity = self.options.polarity
        found = grouping(
            release,
            self.near_duplicates(films, functools.partial(grey, polarity=polarity)),
            {picture.name: picture.label for picture in tree.pictures},
            named,
        )
        counts = tree.counts | {"patient_id_constant": same_id} | found.counts
        if tree.parts:
            counts |= self._leakage(films, found.patient_of)
        if original:
            leaking = leakage.leaking(tree.pictures, found.patient_of)
            films = [film._replace(leaks=film.name in leaking) for film in films]
            split = functools.partial(_original_split, tree.parts, found.patient_of)
        else:
            split = functools.partial(_split, found.patient_of)
        return Plan(
            release=_release(tree),
            parts=by_split(films, split=split, name=lambda film: film.name),
            patient_of=found.patient_of,
            unit=found.unit,
            read=functools.partial(
                read,
                size=self.builder_config.size,
                bits=self.builder_config.bits,
                polarity=polarity,
            ),
            columns=functools.partial(by_class, tree.classes),
            counts=counts,
            suggested=() if named else _suggested(tree.pictures),
            skipped=[
                (path.relative_to(release).as_posix(), kind_of(path))
                for path in tree.skipped
            ],
        )

    def _films_of(self, pictures: list[Picture]) -> list[Film]:
        """With headers; files that cannot be read are reported when they are decoded."""
        found = self._in_order(contents_of, pictures, "reading headers")
        return [
            Film(
                picture.name,
                picture.path,
                picture,
                contents if isinstance(contents, Contents) else None,
                False,
            )
            for picture, contents in zip(pictures, found, strict=True)
        ]

    def _leakage(self, films, patient_of) -> dict[str, int]:
        """Counts of copies across the split folders; only candidates are compared."""
        pictures = [film.picture for film in films]
        doubtful = {picture.name for picture in leakage.across(pictures, patient_of)}
        compared = [film for film in films if film.name in doubtful]
        function = functools.partial(digests, polarity=self.options.polarity)
        found = self._in_order(function, compared, "comparing the split folders")
        known = {
            film.name: one
            for film, one in zip(compared, found, strict=True)
            if isinstance(one, leakage.Digests)
        }
        return leakage.counts(pictures, patient_of, known)


def _release(tree: Tree) -> str:
    split = f"{{{','.join(tree.parts)}}}/" if tree.parts else ""
    return f"a folder of {split}{{{','.join(tree.classes)}}}"


def _suggested(pictures: list[Picture]) -> list[Candidate]:
    nested = [len(Path(p.file).parts) > 2 + bool(p.folder) for p in pictures]
    return suggestions([p.file for p in pictures], nested)


def _check_split(release: Path, parts: tuple[str, ...]) -> None:
    if "train" not in parts or len(parts) == 1:
        raise InputError(
            release,
            f"no split to keep; split folders: {', '.join(parts) or 'none'}",
            "The config original_split needs train/ and test/ (or val/), each with "
            "the class folders in it. The other configs make their own split.",
        )


def _listing(pictures: list[Picture]) -> str:
    """A hash of all paths and sizes, to notice other files."""
    rows = (
        f"{p.file}\0{p.path.stat().st_size if p.path.exists() else ''}\0"
        for p in pictures
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _named(films: list[Film]) -> tuple[dict[str, str], int]:
    """Patients that the headers name, and how many headers if all name the same one."""
    named = {f.name: f.contents.patient for f in films if f.contents}
    named = {name: patient for name, patient in named.items() if patient}
    if len(named) > 1 and len(set(named.values())) == 1:
        return {}, len(named)
    return named, 0


def _split(patient_of: dict[str, str], film: Film) -> str:
    return split_of(patient_of[film.name])


def _original_split(parts, patient_of: dict[str, str], film: Film) -> str:
    folder = film.picture.folder
    if folder == "train" and "val" not in parts:
        return train_or_val(patient_of[film.name])
    return folder
