"""How each dataset stores its films, by name: what reads a film of a folder needs it.

The builders hold the same; a test compares.
"""

import re
from typing import NamedTuple

from tfds_builders.common.errors import InputError

# Of configs that do not begin with a number.
_NAMED = {
    ("covid_chestxray", "segmentation"): 512,
    ("covid_radiography", "segmentation"): 299,
    ("covid_radiography", "walked"): 299,
}
_OF_DICOM = ("brixia",)


class Stored(NamedTuple):
    """Attributes:
    size: pixels of the longer side at most.
    bits: 8 or 16.
    """

    size: int
    bits: int


def stored_as(dataset: str, config: str) -> Stored:
    """How films of `dataset/config` are stored.

    Errors: InputError where there is no such dataset or config.
    """
    number = re.match(r"\d+", config)
    size = int(number[0]) if number else _NAMED.get((dataset, config))
    if size is None:
        raise InputError(
            f"{dataset}/{config}",
            "how its films are stored is not known",
            "train on a dataset of the builders: python -m tfds_builders.build --help",
        )
    is_deep = dataset in _OF_DICOM or "_16bit" in config
    return Stored(size, 16 if is_deep else 8)
