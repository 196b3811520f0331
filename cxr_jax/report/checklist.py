"""What two guidelines ask of a report, answered as far as the software knows.

CLAIM 2024: Tejani et al. 2024, doi 10.1148/ryai.240300. TRIPOD+AI: Collins et al. 2024,
doi 10.1136/bmj-2023-078378. The topics are in our words; what belongs to each number is
in the guidelines.
"""

from __future__ import annotations

import collections
import pathlib
import re
import shlex
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tfds_builders
from cxr_jax.audits.data import attributes
from cxr_jax.report import headline, table
from cxr_jax.report.material import Material

STATUSES = ("answered", "partly", "open")

# Sections of the page whose content says nothing of patients where films are synthetic.
_OF_THE_DATA = (
    "headline", "curves", "cases", "data", "audits", "subgroups", "external",
)  # fmt: skip
_SYNTHETIC = "SYNTHETIC phantoms, not patients. "
_HOME = pathlib.Path(tfds_builders.__file__).parent
# Values of a column that are told.
_SHOWN = 4


class Answer(NamedTuple):
    """What is known of an item.

    Attributes:
      status: 'answered'; 'partly', the author has to add to it; 'open', all is the
        author's to write.
      text: what is known, and what has to be written.
      link: the section of the page that shows it, '' where none does.
    """

    status: str
    text: str
    link: str = ""


class Item(NamedTuple):
    """One item of a guideline and what is known of it.

    Attributes:
      guideline: 'CLAIM 2024' or 'TRIPOD+AI'.
      number: '7a', as the guideline has it.
      section, topic: of the guideline.
      status, answer, section_link: see `Answer`.
    """

    guideline: str
    number: str
    section: str
    topic: str
    status: str
    answer: str
    section_link: str


# {section: (number, topic, what finds the answer, or what the author has to write)}.
Sections = dict[str, tuple[tuple[str, str, Callable[[Material], Answer] | str], ...]]


def items(material: Material) -> list[Item]:
    """Every item of both guidelines, in their order."""
    # They are written in the words of this module.
    from cxr_jax.report import claim, tripod

    guidelines = {"CLAIM 2024": claim.SECTIONS, "TRIPOD+AI": tripod.SECTIONS}
    found = []
    for guideline, sections in guidelines.items():
        for section, rows in sections.items():
            for number, topic, ask in rows:
                answer = Answer("open", ask) if isinstance(ask, str) else ask(material)
                text = _marked(material, answer)
                head = (guideline, number, section, topic)
                found.append(Item(*head, answer.status, text, answer.link))
    return found


def counts(found: list[Item]) -> dict[str, tuple[int, int, int]]:
    """{guideline: how many are answered, partly answered, open}."""
    return {
        guideline: tuple(
            sum(one.guideline == guideline and one.status == status for one in found)
            for status in STATUSES
        )
        for guideline in dict.fromkeys(one.guideline for one in found)
    }


def _marked(material: Material, answer: Answer) -> str:
    is_synthetic = material.splits.test.synthetic and answer.link in _OF_THE_DATA
    return _SYNTHETIC * is_synthetic + answer.text


def command(material: Material, arguments: str) -> str:
    """The command that would answer an item; RUN stands for the workdir."""
    workdir = shlex.quote(str(material.workdir))
    return "python -m cxr_jax.main " + arguments.replace("RUN", workdir)


def listed(names: list[str]) -> str:
    """['a', 'b', 'c'] -> 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def figure(material: Material, metric: str) -> str:
    """'auroc 0.842 (0.801 to 0.876), n 214' of test, as results.json has it."""
    estimate = headline.estimates(material, "test")[metric]
    return f"{metric} {table.text(estimate)}, n {estimate.n:,}"


def headlines(material: Material) -> str:
    """The figures that stand first in the report."""
    found = headline.headlines(material)
    return "; ".join(figure(material, each.metric) for each in found)


def verdicts(material: Material, begins: str) -> list[str]:
    """Lines of the audit of the model that begin with 'Robustness', 'Looking', ..."""
    audit = material.model_audit or {"verdicts": []}
    return [line for line in audit["verdicts"] if line.startswith(begins)]


def spread(column: Any) -> str:
    """'PA 30, AP 12, 3 unknown'; of numbers the median."""
    absent = attributes.missing(column)
    known = [value for value, gone in zip(column, absent, strict=True) if not gone]
    parts = []
    if isinstance(column, list):
        ranked = collections.Counter(known).most_common()
        parts = [f"{value} {number:,}" for value, number in ranked[:_SHOWN]]
        if len(ranked) > _SHOWN:
            parts.append(f"{len(ranked) - _SHOWN} more values")
    elif known:
        parts = [f"median {np.median(known):g}"]
    if absent.any():
        parts.append(f"{absent.sum():,} unknown")
    return ", ".join(parts)


def known(columns: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Those of the names that are columns with a value for one image at least."""
    return [
        name
        for name in names
        if name in columns and not attributes.missing(columns[name]).all()
    ]


def readme(material: Material, heading: str = "") -> list[str]:
    """Paragraphs and list items of a section of the dataset's README, as plain text.

    Args:
      material: of the run; of a phantom the README of the real release says nothing
        but how it is split.
      heading: how that of the section begins; '' for what stands above all sections.

    Returns:
      None of them where the dataset has no README, or is synthetic.
    """
    test = material.splits.test
    path = _HOME / test.dataset / "README.md"
    if not path.exists() or (test.synthetic and heading != "Splits"):
        return []
    title, *sections = re.split(r"^## ", path.read_text("utf-8"), flags=re.MULTILINE)
    bodies = sections if heading else [title.removeprefix("#")]
    for body in bodies:
        if body.startswith(heading):
            blocks = re.split(r"\n\s*\n|\n(?=- )", body.partition("\n")[2].strip())
            return [
                _plain(block)
                for block in blocks
                if block and not block.startswith(("|", "#", "```"))
            ]
    return []


def sentences(text: str) -> list[str]:
    """'One. Two.' -> ['One.', 'Two.']."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text) if text else []


def citations(material: Material) -> list[str]:
    """'doi 10.1109/...' or 'arXiv ...' of what the dataset's owners ask to cite."""
    path = _HOME / material.splits.test.dataset / "CITATIONS.bib"
    text = path.read_text("utf-8") if path.exists() else ""
    found = re.findall(r"\b(doi|eprint)\s*=\s*\{([^}]*)\}", text)
    return [f"{kind.replace('eprint', 'arXiv')} {name}" for kind, name in found]


def _plain(markdown: str) -> str:
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"\*\*|`|^- ", "", text)
    text = text.replace("the page above", "the owners' page")  # of the README itself
    return " ".join(text.split())
