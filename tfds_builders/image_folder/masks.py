"""Masks among the pictures, by their names: they are no radiographs."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tfds_builders.common.tables import refuse

_FOLDER = re.compile(r"(?i:(?<![a-z])masks?(?![a-z]))|(?<=[a-z])Masks?(?![a-z])")
_FILE = re.compile(r"(.+)[ _-]mask(?:[ _-]?\d+)?", re.IGNORECASE)
_DO = (
    "Move the masks out of the tree. The COVID-19 Radiography Database, which has "
    "them, is read by covid_radiography."
)


def refuse_masks(release: Path, files: Sequence[str]) -> None:
    """Raise InputError where pictures lie in a folder of masks, or are masks.

    A walk that took masks for radiographs has spoilt published results. A file is a
    mask where it is called x_mask, or x_mask_1, beside x.

    Args:
      files: paths inside of the release, with /.
    """
    paths = [PurePosixPath(file) for file in files]
    refuse(
        release,
        sorted({str(p.parent) for p in paths if _FOLDER.search(str(p.parent))}),
        "folders of masks, which are no radiographs",
        _DO,
    )
    stems = {(path.parent, path.stem) for path in paths}
    refuse(
        release,
        (
            str(path)
            for path in paths
            if (mask := _FILE.fullmatch(path.stem)) and (path.parent, mask[1]) in stems
        ),
        "files are masks by their names, beside the pictures that they belong to",
        _DO,
    )
