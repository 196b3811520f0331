"""Four reporting guidelines, answered as far as the files of a run allow.

The guidelines are data in checklists/*.toml: each item names the facts that answer it
and what the author has to add.
"""

from __future__ import annotations

import pathlib
import tomllib
from collections.abc import Callable
from typing import Any, NamedTuple

from cxr_jax.report import facts_data, facts_model, facts_results
from cxr_jax.report.answers import ANSWERED, OPEN, PARTLY, STATUSES, Answer
from cxr_jax.report.material import Material

_HERE = pathlib.Path(__file__).parent / "checklists"
# In the order of the page.
GUIDELINES = ("claim_2024", "tripod_ai", "stard_ai", "probast_ai")
# Sections that say nothing about patients where the films are synthetic.
_OF_THE_DATA = (
    "headline", "performance", "cases", "data", "audits", "subgroups", "external",
)  # fmt: skip
_SYNTHETIC = "SYNTHETIC phantoms, not patients. "

# By name, as the TOML files refer to them: every public function of these modules.
FACTS: dict[str, Callable[[Material], Answer]] = {
    name: fact
    for module in (facts_data, facts_model, facts_results)
    for name, fact in vars(module).items()
    if getattr(fact, "__module__", "") == module.__name__ and name[0] != "_"
}


class Item(NamedTuple):
    """One item of a guideline and its answer.

    Attributes:
      guideline: its name, as 'CLAIM 2024'.
      number: '7a', as in the guideline.
      section, topic: of the guideline.
      status, answer, link: see `Answer`.
    """

    guideline: str
    number: str
    section: str
    topic: str
    status: str
    answer: str
    link: str


def items(material: Material) -> list[Item]:
    """Returns every item of every guideline, in order."""
    found = []
    for name in GUIDELINES:
        guideline = read(name)
        for section in guideline["sections"]:
            for item in section["items"]:
                answer = _answered(material, item)
                head = (guideline["name"], item["number"], section["name"])
                found.append(Item(*head, item["topic"], *answer))
    return found


def read(name: str) -> dict[str, Any]:
    """Reads a guideline: {'name', 'cite', 'sections': [{'name', 'items': [...]}]}."""
    return tomllib.loads((_HERE / f"{name}.toml").read_text(encoding="utf-8"))


def counts(found: list[Item]) -> dict[str, tuple[int, ...]]:
    """Returns {guideline: numbers of answered, partly answered and open items}."""
    return {
        guideline: tuple(
            sum(one.guideline == guideline and one.status == status for one in found)
            for status in STATUSES
        )
        for guideline in dict.fromkeys(one.guideline for one in found)
    }


def _answered(material: Material, item: dict[str, Any]) -> Answer:
    """Joins the facts of an item; what the author has to add comes last."""
    known = [FACTS[name](material) for name in item.get("facts", ())]
    if "answer" in item:
        known.append(Answer(ANSWERED, item["answer"]))
    statuses = {each.status for each in known} | (
        {PARTLY} if "write" in item else set()
    )
    status = ANSWERED
    if all(each.status == OPEN for each in known):  # or there are none
        status = OPEN
    elif statuses != {ANSWERED}:
        status = PARTLY
    link = next((each.link for each in known if each.link), "")
    text = " ".join([*(each.text for each in known), item.get("write", "")]).strip()
    is_synthetic = material.splits.test.synthetic and link in _OF_THE_DATA
    return Answer(status, _SYNTHETIC * is_synthetic + text, link)
