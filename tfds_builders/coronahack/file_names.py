"""Patient and source of an image, from its file name."""

import re
from typing import NamedTuple

from tfds_builders.common.articles import article_of

# Kermany et al. 2018 (doi 10.17632/rscbjbr9sj): person1946_bacteria_4875,
# IM-0439-0001-0002, NORMAL2-IM-0927-0001.
_CHILD = re.compile(
    r"(person\d+)_(?:virus|bacteria)_\d+|(?:NORMAL2-)?(IM-\d+)(?:-\d+)+"
)


class Origin(NamedTuple):
    """Where a picture comes from."""

    source: str  # 'Kermany' or 'Cohen'
    age_group: str  # 'child', '' where it is not known
    patient: str  # or the article; '' where the name does not tell


def origin_of(stem: str) -> Origin:
    """The origin of a picture of CoronaHack by its file name without ending.

    A patient's number counts whatever surrounds it: whether person1 with a virus is
    person1 with bacteria is unknown, and one group for both cannot leak.
    """
    child = _CHILD.fullmatch(stem)
    if child is None:
        return Origin("Cohen", "", article_of(stem))
    return Origin("Kermany", "child", child[1] or child[2])
