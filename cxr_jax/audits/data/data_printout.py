"""The audit of datasets as it is printed: what matters most comes first."""

from __future__ import annotations

import math
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

from cxr_jax.audits import verdicts
from cxr_jax.audits.data import findings
from cxr_jax.audits.data.association import Association
from cxr_jax.audits.data.baselines import Baseline
from cxr_jax.audits.data.contents import UNLABELLED
from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.audits.data.findings import is_leak
from cxr_jax.audits.verdicts import Verdict
from cxr_jax.data.attributes import Attribute, LeftOut
from cxr_jax.runs import text_table
from cxr_jax.runs.text_table import count
from cxr_jax.stats.estimate import number

# So many classes have a column each.
_COLUMNS = 4


def verdict(found: Sequence[Verdict]) -> list[str]:
    """What was found, under a line that sums it up."""
    leaks = [each for each in found if is_leak(each)]
    if leaks:
        head = f"LEAKAGE: {count(len(leaks), 'findings')}"
    else:
        allowed = any(each.values.get("allowed") for each in found)
        head = "No leakage found" + ", other than what is allowed" * allowed
        if findings.patients_unknown(found):
            head = (
                "No copies across splits found" + ", other than allowed" * allowed
            ) + "; patients are not known, so whether they leak is not known"
        if any("across_datasets" in each.kind for each in found):
            head += "; but there are copies across datasets"
    lines = [head]
    for each in found:
        mark = "allowed" if each.values.get("allowed") else each.severity
        mark = "LEAK" if is_leak(each) else mark
        lines += _item(mark, f"{verdicts.words(each)} [{each.kind}]")
    return lines


def shortcuts(dataset: Dataset, baselines: Sequence[Baseline]) -> list[str]:
    """How far one gets without looking at a lung."""
    classes = dataset.target.classes
    if not classes:
        return [f"{dataset.name} has no label: no baselines without a lung"]
    shown = classes if 2 < len(classes) <= _COLUMNS else ()
    rows = []
    for baseline in baselines:
        cells = [
            _shown(baseline),
            number(baseline.auroc.value),
            baseline.auroc.interval(),
            *(_of_class(baseline, name) for name in shown),
        ]
        if len(classes) > _COLUMNS:
            cells.append(_highest(baseline))
        rows.append(cells)
    what = f"{classes[1]}" if len(classes) == 2 else "mean over classes"
    head = ["", "AUROC", "95 % interval", *(text_table.shortened(n, 13) for n in shown)]
    head += ["highest"] if len(classes) > _COLUMNS else []
    lines = [f"Without looking at a lung, {dataset.name} ({what})"]
    lines += text_table.lines(head, rows)
    for reason in dict.fromkeys(b.auroc.reason for b in baselines if b.auroc.reason):
        names = [_shown(b) for b in baselines if b.auroc.reason == reason]
        lines += _note(f"{', '.join(names)}: {reason}")
    return lines


def _shown(baseline: Baseline) -> str:
    """In brackets where it does see the lung."""
    name = baseline.name.replace("_", " ")
    return f"({name})" if baseline.sees_lung else name


def associations(
    dataset: Dataset,
    found: Sequence[tuple[Attribute, Association]],
    left_out: dict[str, LeftOut],
) -> list[str]:
    """The label against all else that is known of an image, the strongest first."""
    if not dataset.target.classes:
        return []
    rows = [
        [
            attribute.name,
            association.measure,
            number(association.value),
            text_table.probability(association.p),
            f"{association.n:,}",
            f"{len(attribute.categories)}" if attribute.categories else "numbers",
            f"{int(attribute.missing.sum()):,}",
        ]
        for attribute, association in found
    ]
    lines = [f"Associated with the {dataset.target.name}, {dataset.name}"]
    if rows:
        head = ["", "measure", "0 to 1", "p", "images", "categories", "missing"]
        lines += text_table.lines(head, rows)
    alike = [
        f"{name} ({each.always})"
        for name, each in left_out.items()
        if each.always is not None
    ]
    if alike:
        lines += _note(f"the same for all images: {', '.join(alike)}")
    return lines if rows or alike else [*lines, *_note("no such column")]


def contents(dataset: Dataset, found: dict[str, Any]) -> list[str]:
    """Images, classes and scores by split; then the pictures, and what is missing."""
    splits = found["splits"].values()
    rows = [["images", *(f"{s['images']:,}" for s in splits)]]
    if dataset.unit != "images":
        rows.append([dataset.unit, *(f"{s[dataset.unit]:,}" for s in splits)])
    for name in dataset.target.classes:
        rows.append([name, *(_share(s["classes"][name], s["images"]) for s in splits)])
    if any(s.get(UNLABELLED) for s in splits):
        rows.append([UNLABELLED, *(_share(s[UNLABELLED], s["images"]) for s in splits)])
    if dataset.target.score is not None:
        rows.append([f"{dataset.target.name}, mean (SD)", *(_mean(s) for s in splits)])
    if dataset.target.zones is not None:
        for zone in next(iter(splits))["zones"]:
            levels = ["/".join(map(str, s["zones"][zone])) for s in splits]
            rows.append([f"zone {zone}, images of level 0/1/2/3", *levels])
    lines = [f"What it holds, {dataset.name}"]
    lines += text_table.lines(["", *found["splits"]], rows)
    lines += _note(_pictures(found["pictures"]))
    if found["missing"]:
        missing = ", ".join(f"{name} {n:,}" for name, n in found["missing"].items())
        lines += _note(f"missing, of {dataset.size:,}: {missing}")
    return lines


def copies(records: Sequence[dict[str, Any]]) -> list[str]:
    """The images of one dataset that have a copy in another, or in itself."""
    rows = [
        [
            r["images_of"] + (f" in {r['in']}" if r["in"] != r["images_of"] else ""),
            f"{r['identical']:,}",
            f"{r['near_duplicates']:,}",
            f"{r['of']:,}",
        ]
        for r in records
    ]
    head = ["", "identical", "near-duplicates", "of images"]
    return ["Images with a copy", *text_table.lines(head, rows)] if rows else []


def written(
    path: pathlib.Path, sheets: Sequence[pathlib.Path], pairs: int
) -> list[str]:
    """Where the rest is to be found."""
    lines = [f"written: {path}"]
    if sheets:
        last = f" to {sheets[-1].name}" if len(sheets) > 1 else ""
        lines.append(f"         {sheets[0]}{last} ({pairs:,} pairs of copies)")
    return lines


def _item(mark: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        text_table.WIDTH,
        initial_indent=f"  {mark:8} ",
        subsequent_indent=" " * 11,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _note(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        text_table.WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _of_class(baseline: Baseline, name: str) -> str:
    found = baseline.by_class.get(name)
    return number(found.value if found else math.nan)


def _highest(baseline: Baseline) -> str:
    if not baseline.by_class:
        return ""
    name = max(baseline.by_class, key=lambda n: baseline.by_class[n].value)
    return f"{text_table.shortened(name, 24)} {_of_class(baseline, name)}"


def _share(part: int, images: int) -> str:
    return f"{part:,} ({text_table.percent(part / images)})"


def _mean(split: dict[str, Any]) -> str:
    mean, sd = split["score"]["mean"], split["score"]["sd"]
    return "n/a" if mean is None else f"{mean:.2f} ({sd:.2f})"


def _pictures(found: dict[str, Any]) -> str:
    kinds = " and ".join(found["type"])
    height, width = (
        f"{s['min']:.0f}" + f" to {s['max']:.0f}" * (s["max"] > s["min"])
        for s in (found["height"], found["width"])
    )
    low, high = found["share_at_lowest_value"], found["share_at_highest_value"]
    return (
        f"pictures: {kinds}, {height} high, {width} wide; black "
        f"{text_table.percent(low['median'])} of a picture (median; at most "
        f"{text_table.percent(low['max'])}), white {text_table.percent(high['median'])} "
        f"({text_table.percent(high['max'])})"
    )
