"""The tables of a report."""

from __future__ import annotations

import itertools
import shlex
from typing import Any

import numpy as np

from cxr_jax.audits import verdicts
from cxr_jax.data import attributes, roles
from cxr_jax.metrics.registry import metric
from cxr_jax.report import checklist, headline
from cxr_jax.report.material import Material, data_verdicts, elsewhere
from cxr_jax.report.table import Table
from cxr_jax.runs import results
from cxr_jax.runs.text_table import count
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.counts import count_of


def metrics(material: Material) -> Table:
    """Every metric on test and val."""
    test, val = (headline.estimates(material, role) for role in ("test", "val"))
    val = {name: each._replace(reason="") for name, each in val.items()}
    rows = [
        (
            metric(name).label,
            each._replace(reason=""),
            val.get(name),
            each.n,
            each.reason,
            name,
        )
        for name, each in test.items()
    ]
    return Table(
        "metrics",
        "All metrics",
        ("metric", "test (95 % interval)", "val", "n", "remark", "name"),
        rows,
        f"Bootstrap over {material.splits.test.unit}, {material.config.resamples:,} "
        "resamples. Thresholds, temperature and prediction sets were fitted on val and "
        "the checkpoint was chosen there, so metrics on val are optimistic.",
    )


def confusion(material: Material) -> Table:
    """Rows are reference classes, columns predicted ones."""
    found = material.results["confusion"]["test"]
    classes = [str(name) for name in found["classes"]]
    rows = [
        (name, *cells)
        for name, cells in zip(classes, found["target_by_called"], strict=True)
    ]
    head = ("reference", *(f"predicted {name}" for name in classes))
    return Table("confusion", "Confusion matrix", head, rows)


def splits(material: Material) -> Table:
    """Counts images, patients and labels of train, val and test."""
    counted = {role: contents(material, role) for role in roles.ROLES}
    names = list(dict.fromkeys(name for each in counted.values() for name in each))
    rows = [
        (name, *(counted[role].get(name, 0) for role in roles.ROLES)) for name in names
    ]
    return Table("splits", "Train, val and test", ("", *roles.ROLES), rows)


def left_out(material: Material) -> Table:
    """What the build of the dataset counted."""
    words = {"left_out": "left out", "repaired": "repaired", "noted": "noted"}
    counted = material.metadata.get("counts", {})
    rows = [
        (count_of(key).text, words[count_of(key).kind], number)
        for key, number in counted.items()
    ]
    title = "Left out, repaired and noted when the dataset was built"
    return Table("left_out", title, ("finding", "action", "number"), rows)


def characteristics(material: Material) -> Table:
    """Every attribute that the dataset records, by split."""
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
    head = ("attribute", "value", *roles.ROLES)
    note = "Images and their share; for numbers, median and interquartile range."
    return Table("characteristics", "Characteristics", head, rows, note)


def external(material: Material) -> Table:
    """The headline metrics on every dataset that the model was tested on."""
    chosen = [each.metric for each in headline.headlines(material)]
    own = headline.estimates(material, "test")
    sizes = material.results["sizes"]["test"]
    rows = [_external_row("the run's own test set", sizes, own, chosen, "")]
    others = elsewhere(material)
    for name, content in material.evaluations.items():
        ((_, sizes),) = content["sizes"].items()
        found, remarks = results.estimates(content), []
        if name not in others:
            remarks.append("not external")
        seen = sum(content.get("shared_patients", {}).values())
        if seen:
            unit = material.splits.test.unit
            remarks.append(f"{count(seen, unit)} also in train or val")
        rows.append(_external_row(name, sizes, found, chosen, ", ".join(remarks)))
    labels = [metric(name).label for name in chosen]
    head = ("tested on", "images", "patients or groups", *labels, "remark")
    return Table("external", "", head, rows)


def without_lung(material: Material) -> Table:
    """How well labels are predicted without a lung, from audit.json."""
    rows = [
        (dataset, each["sees"], Estimate.from_json(each["auroc"]))
        for dataset, content in material.audit["datasets"].items()
        for each in content["without_a_lung"].values()
    ]
    head = ("dataset", "input", "AUROC (95 % interval)")
    note = "Decision trees on a few numbers; a network may find more (docs/audit.md)."
    title = "How well the label is predicted without seeing a lung"
    return Table("without_lung", title, head, rows, note)


def audited(material: Material) -> Table:
    """The findings of the data audit."""
    rows = [(each.severity, verdicts.words(each)) for each in data_verdicts(material)]
    return Table("data_audit", "Data audit", ("severity", "finding"), rows)


def hidden(material: Material) -> Table:
    """The metric with parts of the images hidden."""
    audit = material.model_audit
    rows = [("whole image", Estimate.from_json(audit["whole"]), None)]
    rows += [
        (name, *(Estimate.from_json(found[key]) for key in ("figure", "left")))
        for name, found in audit["hidden"].items()
    ]
    head = ("visible", metric(audit["figure"]).label, "share kept above chance")
    return Table("hidden", "Parts of the image hidden", head, rows)


def altered(material: Material) -> Table:
    """The metric by kind and strength of alteration."""
    audit = material.model_audit
    rows = [
        (
            name,
            each["unit"],
            strength,
            Estimate.from_json(value),
            Estimate.from_json(lost),
        )
        for name, each in audit["altered"].items()
        for strength, value, lost in zip(
            each["strengths"], each["figure"], each["lost"], strict=True
        )
    ]
    head = ("alteration", "unit", "strength", metric(audit["figure"]).label, "drop")
    return Table("altered", "Altered images", head, rows)


def provenance(material: Material) -> Table:
    """Command, code, data, device and packages."""
    found, git = material.provenance, material.provenance["git"]
    revision = git["revision"] or "unknown"
    if git["changed"]:
        revision += ", with uncommitted changes"
    device, data = found["device"], found["dataset"]
    rows = [
        ("command", shown_command(found["command"])),
        ("code", revision),
        ("dataset", data["name"]),
        *(
            (f"{role}, SHA-256 of its columns", data["roles"][role]["sha256"])
            for role in roles.ROLES
        ),
        ("device", f"{device['count']} x {device['kind']} ({device['processor']})"),
        ("Python", found["python"]),
        *((name, version or "not installed") for name, version in found["packages"].items()),
        ("seed", str(material.config.seed)),
        ("resumed with other code or settings", count(len(found.get("resumed", [])), "times")),
    ]  # fmt: skip
    return Table("provenance", "", ("item", "value"), rows)


def shown_command(words: list[str]) -> str:
    """Quotes for a shell: ['cxr_jax/main.py', '--a=b c'] -> "python -m ... '--a=b c'"."""
    return shlex.join(["python", "-m", "cxr_jax.main", *words[1:]])


def checked(material: Material) -> dict[str, Table]:
    """Returns {guideline: table of its items and their answers}."""
    items = checklist.items(material)
    head = ("item", "section", "topic", "status", "answer, and what to add")
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
    split, known = getattr(material.splits, role), material.task.probabilities
    found = dict(results.size(split))
    if known is None:
        return found
    (labels,) = material.task.targets(split).values()
    if not known.is_graded:
        numbers = np.bincount(labels, minlength=len(known.classes)).tolist()
        return found | dict(zip(known.classes, numbers, strict=True))
    total = labels.sum(axis=1)
    most = (len(known.classes) - 1) * len(known.questions)
    edges = [0, 1, *(1 + round(most * k / 3) for k in (1, 2, 3))]
    for low, end in itertools.pairwise(edges):
        name = f"global score {low}" + f" to {end - 1}" * (end - 1 > low)
        found[name] = int(((total >= low) & (total < end)).sum())
    return found


def _joined(columns: list[Any]) -> Any:
    if isinstance(columns[0], list):
        return [value for column in columns for value in column]
    return np.concatenate(columns)


def _of_attribute(attribute: attributes.Attribute, places: list[slice]):
    name = attribute.name.replace("_", " ")
    if attribute.numbers is None:
        for code, category in enumerate(attribute.categories):
            hits = [attribute.codes[place] == code for place in places]
            cells = [f"{hit.sum():,} ({100 * hit.mean():.0f} %)" for hit in hits]
            yield (name, category, *cells)
        return
    cells = []
    for place in places:
        known = attribute.numbers[place][~attribute.missing[place]]
        if len(known):
            low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
            cells.append(f"{middle:.4g} ({low:.4g} to {high:.4g})")
        else:
            cells.append("unknown")
    yield (name, "median", *cells)


def _external_row(name, sizes, found, chosen, remark):
    patients = next((n for unit, n in sizes.items() if unit != "images"), None)
    values = [found.get(metric_name) for metric_name in chosen]
    return (name, sizes["images"], patients, *values, remark)
