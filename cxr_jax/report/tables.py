"""The tables of a report."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from cxr_jax.audits.data import attributes
from cxr_jax.audits.text_table import count
from cxr_jax.data import roles
from cxr_jax.report import checklist, facts_figures, headline
from cxr_jax.report.material import Material
from cxr_jax.report.table import Table
from cxr_jax.runs import results


def metrics(material: Material) -> Table:
    """Every figure of test and val."""
    test, val = (headline.estimates(material, role) for role in ("test", "val"))
    rows = [
        (name, estimate, val.get(name), estimate.n, estimate.reason)
        for name, estimate in test.items()
    ]
    return Table(
        "metrics",
        "Every figure",
        ("metric", "test (95 % interval)", "val", "n", "remark"),
        rows,
        f"Bootstrap over {material.splits.test.unit}, {material.config.resamples:,} "
        "resamples. Thresholds, temperature and prediction sets were settled on val, "
        "and the checkpoint was chosen there: figures of val are too good.",
    )


def confusion(material: Material) -> Table:
    """Rows are what was read, columns what was called."""
    found = material.results["confusion"]["test"]
    classes = [str(name) for name in found["classes"]]
    rows = [
        (name, *cells)
        for name, cells in zip(classes, found["target_by_called"], strict=True)
    ]
    head = ("read as", *(f"called {name}" for name in classes))
    return Table("confusion", "Read and called", head, rows)


def splits(material: Material) -> Table:
    """Images, patients and labels of train, val and test."""
    counted = {role: contents(material, role) for role in roles.ROLES}
    names = list(dict.fromkeys(name for each in counted.values() for name in each))
    rows = [
        (name, *(counted[role].get(name, 0) for role in roles.ROLES)) for name in names
    ]
    return Table("splits", "What was trained and tested on", ("", *roles.ROLES), rows)


def left_out(material: Material) -> Table:
    """What building the dataset counted."""
    counts = material.metadata.get("counts", {})
    rows = [(what, number) for what, number in counts.items()]
    return Table(
        "left_out",
        "What was found and left out while the dataset was built",
        ("", "number"),
        rows,
    )


def characteristics(material: Material) -> Table:
    """Who is in the splits, as far as the dataset tells: every column by split."""
    parts = [getattr(material.splits, role) for role in roles.ROLES]
    joined = {
        name: _joined([part.table[name] for part in parts]) for name in parts[0].table
    }
    found, _ = attributes.of_table(joined, parts[0].label_names)
    ends = np.cumsum([0, *(part.size for part in parts)])
    places = [slice(a, b) for a, b in itertools.pairwise(ends)]
    rows: list[tuple] = []
    for attribute in found:
        rows += _of_attribute(attribute, places)
    head = ("", "value", *roles.ROLES)
    note = "Images and their share; of numbers the median and the middle half."
    return Table("characteristics", "Who is in them", head, rows, note)


def external(material: Material) -> Table:
    """The main figures on every dataset it was evaluated on, and the drop."""
    chosen = [each.metric for each in headline.headlines(material)]
    own = headline.estimates(material, "test")
    sizes = material.results["sizes"]["test"]
    rows = [_external_row("its own test", sizes, own, chosen, "")]
    elsewhere = facts_figures.elsewhere(material)
    for name, content in material.evaluations.items():
        ((_, sizes),) = content["sizes"].items()
        found, remarks = results.estimates(content), []
        if name not in elsewhere:
            remarks.append("not from elsewhere")
        seen = sum(content.get("shared_patients", {}).values())
        if seen:
            unit = material.splits.test.unit
            remarks.append(f"trained or selected on {count(seen, unit)} of them")
        remark = ", ".join(remarks)
        rows.append(_external_row(name, sizes, found, chosen, remark))
    head = ("tested on", "images", "patients or groups", *chosen, "remark")
    return Table("external", "", head, rows)


def without_a_lung(material: Material) -> Table:
    """How far one gets without looking at a lung, of audit.json."""
    rows = [
        (dataset, each["sees"], results.estimate_from_json(each["auroc"]))
        for dataset, content in material.audit["datasets"].items()
        for each in content["without_a_lung"].values()
    ]
    head = ("dataset", "what is looked at", "AUROC (95 % interval)")
    note = "Trees on a few numbers; a network may find more still (docs/audit.md)."
    return Table(
        "without_a_lung", "What tells the label without a lung", head, rows, note
    )


def findings(material: Material) -> Table:
    """What the audit of the data found."""
    rows = [
        ("leak" if each["leak"] else "to know", each["where"], each["text"])
        for each in material.audit["findings"]
    ]
    return Table("findings", "Leakage and copies", ("", "where", "what"), rows)


def hidden(material: Material) -> Table:
    """The figure with parts of the pictures hidden."""
    audit, from_json = material.model_audit, results.estimate_from_json
    rows = [("whole picture", from_json(audit["whole"]), None)]
    rows += [
        (name, from_json(found["figure"]), from_json(found["left"]))
        for name, found in audit["hidden"].items()
    ]
    head = ("what is seen", audit["figure"], "left of what is above chance")
    return Table("hidden", "With parts hidden", head, rows)


def altered(material: Material) -> Table:
    """The figure by kind and strength of alteration."""
    audit, from_json = material.model_audit, results.estimate_from_json
    rows = [
        (name, each["unit"], strength, from_json(value), from_json(lost))
        for name, each in audit["altered"].items()
        for strength, value, lost in zip(
            each["strengths"], each["figure"], each["lost"], strict=True
        )
    ]
    head = ("alteration", "unit", "strength", audit["figure"], "lost")
    return Table("altered", "Altered pictures", head, rows)


def provenance(material: Material) -> Table:
    """Where the figures come from."""
    found, git = material.provenance, material.provenance["git"]
    revision = git["revision"] or "not known"
    if git["changed"]:
        revision += ", with files that differed"
    device, data = found["device"], found["dataset"]
    rows = [
        ("command", " ".join(found["command"])),
        ("code", revision),
        ("dataset", data["name"]),
        *(
            (f"{role}, SHA-256 of its columns", data["roles"][role]["sha256"])
            for role in roles.ROLES
        ),
        ("device", f"{device['count']} x {device['kind']} ({device['processor']})"),
        ("Python", found["python"]),
        *((name, version or "-") for name, version in found["packages"].items()),
        ("seed", str(material.config.seed)),
        ("begun anew", f"{len(found.get('resumed', []))} times on other code or settings"),
    ]  # fmt: skip
    return Table("provenance", "", ("what", "value"), rows)


def checked(material: Material) -> dict[str, Table]:
    """{guideline: its items}, with what is known of each."""
    items = checklist.items(material)
    head = ("item", "section", "topic", "", "what is known, or has to be written")
    return {
        guideline: Table(
            "checklist_"
            + "".join(c if c.isalnum() else "_" for c in guideline).lower(),
            guideline,
            head,
            [
                (each.number, each.section, each.topic, each.status, each.answer)
                for each in items
                if each.guideline == guideline
            ],
        )
        for guideline in dict.fromkeys(each.guideline for each in items)
    }


def contents(material: Material, role: str) -> dict[str, int]:
    """{'images': n, 'patients': m, then labels} of train, val or test."""
    split = getattr(material.splits, role)
    found = dict(results.size(split))
    targets = material.task.targets(split)
    if "label" in targets:
        classes = material.config.task.settings.classes
        numbers = np.bincount(targets["label"], minlength=len(classes))
        found |= dict(zip(classes, numbers.tolist(), strict=True))
    if "scores" in targets:
        total = targets["scores"].sum(axis=1)
        for low, high in ((0, 0), (1, 6), (7, 12), (13, 18)):
            name = (
                f"global score {low}"
                if low == high
                else f"global score {low} to {high}"
            )
            found[name] = int(((total >= low) & (total <= high)).sum())
    return found


def _joined(columns: list[Any]) -> Any:
    if isinstance(columns[0], list):
        return [value for column in columns for value in column]
    return np.concatenate(columns)


def _of_attribute(attribute: attributes.Attribute, places: list[slice]):
    if attribute.numbers is None:
        for code, category in enumerate(attribute.categories):
            hits = [attribute.codes[place] == code for place in places]
            cells = [f"{hit.sum():,} ({hit.mean():.0%})" for hit in hits]
            yield (attribute.name, category, *cells)
        return
    cells = []
    for place in places:
        known = attribute.numbers[place][~attribute.missing[place]]
        if len(known):
            low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
            cells.append(f"{middle:g} ({low:g} to {high:g})")
        else:
            cells.append("none known")
    yield (attribute.name, "median", *cells)


def _external_row(name, sizes, found, chosen, remark):
    patients = next((n for unit, n in sizes.items() if unit != "images"), None)
    values = [found.get(metric) for metric in chosen]
    return (name, sizes["images"], patients, *values, remark)
