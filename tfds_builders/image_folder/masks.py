"""Masks among the images, recognised by name."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tfds_builders.common.tables import refuse

_FOLDER = re.compile(r"(?i:(?<![a-z])masks?(?![a-z]))|(?<=[a-z])Masks?(?![a-z])")
_FILE = re.compile(r"(.+)[ _-]mask(?:[ _-]?\d+)?", re.IGNORECASE)
_DO = (
    "Move the masks out of the tree. For the COVID-19 Radiography Database use "
    "covid_radiography."
)


def refuse_masks(release: Path, files: Sequence[str]) -> None:
    """Raise InputError where pictures lie in a folder of masks, or are masks.

    Masks read as radiographs have spoilt published results. A file is a mask if it is
    called x_mask, or x_mask_1, beside x.

    Args:
      files: paths inside of the release, with /.
    """
    paths = [PurePosixPath(file) for file in files]
    refuse(
        release,
        sorted({str(p.parent) for p in paths if _FOLDER.search(str(p.parent))}),
        "folders hold masks, not radiographs",
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
        "files are masks by name, beside their images",
        _DO,
    )
