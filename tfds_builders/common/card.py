"""The facts of a dataset that a report quotes, from its card.toml."""

import tomllib
from pathlib import Path
from typing import NamedTuple

_HOME = Path(__file__).parent.parent


class Card(NamedTuple):
    """What its owners and its README say of a dataset; '' where it is not known.

    Attributes:
      title: its name in print.
      summary: what it holds, how many, from where.
      licence: what its terms allow.
      cite: 'doi 10.1016/...' or 'arXiv 2003.11597', in the order of CITATIONS.bib.
      readers: who labelled the images, and how well they agree.
      reference_standard: what the label means, and how it was established.
      acquisition: devices, views and formats, and what they say about the label.
      split: how train, val and test were made, in every config.
      limitations: known faults of the release that a study has to name.
      url: where to get it.
    """

    title: str
    summary: str
    licence: str
    cite: tuple[str, ...]
    readers: str
    reference_standard: str
    acquisition: str
    split: str
    limitations: tuple[str, ...]
    url: str


def load(name: str) -> Card:
    """The card of a dataset of `tfds_builders.DATASETS`.

    Raises:
      FileNotFoundError: there is no such dataset.
    """
    facts = tomllib.loads((_HOME / name / "card.toml").read_text(encoding="utf-8"))
    lists = {name: tuple(facts[name]) for name in ("cite", "limitations")}
    return Card(**facts | lists)
