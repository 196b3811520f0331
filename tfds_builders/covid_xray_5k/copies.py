"""Files of the release that are byte-identical."""

import collections
import hashlib
from collections.abc import Mapping

from tfds_builders.covid_xray_5k.layout import Image


def identical(images: list[Image], group_of: Mapping[str, str]) -> list[list[Image]]:
    """Sets of two or more identical files, in the order of `images`.

    group_of: near-duplicate group of each image. Only images of one group are
      compared: unreadable files may be identical too, but each has to be reported.
    """
    groups = collections.defaultdict(list)
    for image in images:
        groups[group_of[image.name]].append(image)
    same = collections.defaultdict(list)
    for group, members in groups.items():
        for image in members if len(members) > 1 else ():
            digest = hashlib.sha256(image.path.read_bytes()).digest()
            same[group, digest].append(image)
    return [members for members in same.values() if len(members) > 1]


def stored_once(images: list[Image], same: list[list[Image]]) -> list[Image]:
    """`images` without repeated files of one class.

    The first stays, with `part` and `finding` of all of them.
    """
    instead: dict[str, Image | None] = {}
    for members in same:
        for label in {image.label for image in members}:
            one, *more = (image for image in members if image.label == label)
            instead |= {image.name: None for image in more}
            instead[one.name] = one._replace(
                part=_joined(image.part for image in (one, *more)),
                finding=_joined(image.finding for image in (one, *more)),
            )
    kept = (instead.get(image.name, image) for image in images)
    return [image for image in kept if image is not None]


def tested_and_trained(same: list[list[Image]]) -> int:
    """How many files of test are identical to one of train."""
    return sum(
        image.part == "test"
        for members in same
        if {"train", "test"} <= {image.part for image in members}
        for image in members
    )


def _joined(texts) -> str:
    return " and ".join(sorted({text for text in texts if text}))
