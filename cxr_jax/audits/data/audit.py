"""The audit of datasets: `audit.json`, a printout and contact sheets."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from cxr_jax.audits import verdicts
from cxr_jax.audits.data import (
    association,
    baselines,
    collection,
    contact_sheet,
    contents,
    data_printout,
    dataset,
    findings,
)
from cxr_jax.audits.data.association import Association
from cxr_jax.audits.data.baselines import Baseline
from cxr_jax.audits.data.collection import Collection
from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.audits.verdicts import Verdict, verdict
from cxr_jax.data import attributes, copies, fingerprints, roles
from cxr_jax.data.attributes import Attribute
from cxr_jax.data.copies import Link
from cxr_jax.devices.terminal import say
from cxr_jax.evaluation import labels
from cxr_jax.stats import significance
from cxr_jax.stats.estimate import json_number
from tfds_builders.common import files
from tfds_builders.common.errors import InputError


class Settings(NamedTuple):
    """What an audit depends on besides the data.

    Attributes:
      allow: leaks that are known, by name.
      resamples: of the bootstrap.
      seed: of resamples, trees and permutations.
    """

    allow: tuple[str, ...] = ()
    resamples: int = 1000
    seed: int = 0


def of_config(config: ConfigDict, workdir: pathlib.Path) -> int:
    """Audits the dataset of a config, and looks for it in `config.audit.against`.

    Args:
      config: see `configs/common.py`.
      workdir: `audit.json` and the contact sheets are written to it.

    Returns:
      The exit code: 1 where there is leakage that `config.audit.allow` does not name.

    Raises:
      InputError: a dataset that is not there or does not fit the task, an unknown
        name in `allow`, a picture that cannot be decoded.
    """
    settings = Settings(tuple(config.audit.allow), config.resamples, config.seed)
    findings.check_allowed(settings.allow)
    own = dataset.of_config(config, workdir)
    others = [
        dataset.external(name, config.data.data_dir) for name in config.audit.against
    ]
    return audit([own, *others], workdir, settings)


def of_names(names: Sequence[str], data_dir: str, workdir: pathlib.Path) -> int:
    """Audits each dataset by itself, and every two of them for copies."""
    return audit(
        [dataset.of_name(name, data_dir) for name in names], workdir, Settings()
    )


def audit(datasets: list[Dataset], workdir: pathlib.Path, settings: Settings) -> int:
    """Reads every picture once; prints, draws and writes what was found."""
    names = [one.name for one in datasets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            twice[0],
            "is given twice",
            "name every dataset once; of two folders, say which: NAME@DATA_DIR",
        )
    shown = [fingerprints.read(d.splits.values(), d.name) for d in datasets]
    everything = collection.collect(datasets, shown)
    found = collection.find_all(everything, settings.allow)
    pairs = collection.pairs(everything)
    for one in datasets:
        found += findings.of_dataset(one) if not one.tested else []
    say("\n".join(data_printout.verdict(found)))
    described = {}
    for k in everything.audited:
        described[names[k]], shortcuts = _describe(everything, k, settings)
        found += shortcuts
    shared = data_printout.copies(collection.overlaps(everything, False))
    if shared:
        say("\n".join(["", *shared]))
    sheets = contact_sheet.write(workdir, _draw(everything, pairs))
    path = workdir / "audit.json"
    leaks = [each for each in found if findings.is_leak(each)]
    if not any(each.kind in findings.LEAKS for each in found):
        known = not findings.patients_unknown(found)
        found.append(verdict("no_leakage" if known else "no_copies"))
    content = {
        "leakage": bool(leaks),
        "settings": settings._asdict(),
        "verdicts": [each._asdict() for each in verdicts.by_severity(found)],
        "datasets": described,
        "external": {
            one.name: one.description | {"tested": one.tested}
            for one in datasets
            if one.tested
        },
        "overlaps": collection.overlaps(everything, True),
        "pairs": _pairs_to_json(everything, pairs),
        "pairs_not_listed": copies.number(everything.bundles)
        - sum(1 for _ in copies.links(everything.bundles)),
    }
    files.write_text(path, json.dumps(content, indent=1) + "\n")
    say("\n".join(["", *data_printout.written(path, sheets, len(pairs))]))
    return int(bool(leaks))


def _describe(
    everything: Collection, k: int, settings: Settings
) -> tuple[dict[str, Any], list[Verdict]]:
    """Prints what one dataset holds and what predicts its label.

    Returns:
      (all of it as JSON values, verdicts on shortcuts).
    """
    one, shown = everything.datasets[k], everything.pictures[k]
    metadata, left_out = attributes.of_table(one.table, one.first.label_names)
    sizes = attributes.of_pictures(shown.height, shown.width)
    associated = association.rank(metadata + sizes, one.target, settings.seed)
    reached = baselines.run(
        one.target,
        shown,
        metadata,
        sizes,
        baselines.groups_of(one.table["patient_id"], everything.copies_within(k)),
        settings.resamples,
        settings.seed,
    )
    held = contents.describe(one, shown)
    say("\n".join(["", *data_printout.shortcuts(one, reached)]))
    say("\n".join(["", *data_printout.associations(one, associated, left_out)]))
    say("\n".join(["", *data_printout.contents(one, held)]))
    described = {
        **one.description,
        "unit": one.unit,
        "target": {"name": one.target.name, "classes": list(one.target.classes)},
        "contents": held,
        "without_a_lung": {b.name: _baseline_to_json(b) for b in reached},
        "associations": [_association_to_json(*pair) for pair in associated],
        "no_attributes": {name: each.why for name, each in left_out.items()},
    }
    return described, without_lung(one.name, reached) + of_classes(one.name, held)


def without_lung(name: str, reached: Sequence[Baseline]) -> list[Verdict]:
    """The strongest baseline that sees no lung, where it is better than chance.

    After Holm's correction: the best of several is above chance more often than one.
    """
    blind = [b for b in reached if not b.sees_lung and b.auroc.is_defined]
    corrected = significance.holm([b.p for b in blind])
    sure = [
        b
        for b, p in zip(blind, corrected, strict=True)
        if p < significance.LEVEL and b.auroc.value > 0.5
    ]
    best = max(sure, key=lambda b: b.auroc.value, default=None)
    if best is None:
        return []
    values = {"baseline": best.name, "sees": best.sees, "estimate": best.auroc}
    return [verdict("label_without_lung", dataset=name, **values)]


def of_classes(name: str, held: dict[str, Any]) -> list[Verdict]:
    """Classes that are never trained, and shares of a class that lie far apart.

    Splits are dealt by patient, so that in a small one the shares differ by chance.

    held: of `contents.describe`.
    """
    counts = {
        split: each["classes"]
        for split, each in held["splits"].items()
        if split in roles.ROLES and "classes" in each
    }
    if "train" not in counts:
        return []
    found = [
        verdict("class_untrained", dataset=name, classes=[missing])
        for missing in labels.untrained(counts)
    ]
    most, shares = labels.largest_gap(counts)
    if shares and max(shares.values()) - min(shares.values()) >= labels.APART:
        values = {"class": most, "shares": shares}
        found.append(verdict("classes_apart", dataset=name, **values))
    return found


def _association_to_json(attribute: Attribute, found: Association) -> dict[str, Any]:
    """The measure, what it is between, and the categories."""
    values = {
        name: json_number(value) if isinstance(value, float) else value
        for name, value in found._asdict().items()
    }
    return {
        "attribute": attribute.name,
        **values,
        "categories": list(attribute.categories),
        "pooled": attribute.others,
        "missing": int(attribute.missing.sum()),
    }


def _baseline_to_json(found: Baseline) -> dict[str, Any]:
    """Its AUROC, and that of each class, with intervals."""
    return {
        "sees": found.sees,
        "sees_lung": found.sees_lung,
        "auroc": found.auroc.to_json(),
        "p": json_number(found.p),
        "by_class": {name: value.to_json() for name, value in found.by_class.items()},
    }


def _pairs_to_json(
    everything: Collection, found: Sequence[tuple[str, Link]]
) -> list[dict[str, Any]]:
    """The copies, each with where its two images are."""
    return [
        {
            "kind": kind,
            "identical": link.identical,
            "correlation": round(link.correlation, 4),
            "mirrored": link.mirrored,
            "left": _image_to_json(everything, link.left),
            "right": _image_to_json(everything, link.right),
        }
        for kind, link in found
    ]


def _image_to_json(everything: Collection, number: int) -> dict[str, str]:
    """Where an image is, and whose."""
    one, row = everything.find(number)
    return {
        "dataset": one.name,
        "split": str(one.split[row]),
        "example_id": one.table["example_id"][row],
        "patient_id": one.table["patient_id"][row],
    }


def _draw(everything: Collection, pairs: Sequence[tuple[str, Link]]) -> list:
    """The contact sheets of the first pairs."""
    shown = pairs[: contact_sheet.PER_SHEET * contact_sheet.MOST_SHEETS]
    number = -(-len(shown) // contact_sheet.PER_SHEET)
    which = "all" if len(shown) == len(pairs) else f"the first {len(shown)} of"
    note = f"{which} {len(pairs):,} pairs, leakage first"
    if any(one.synthetic for one in everything.datasets):
        note += "; SYNTHETIC phantoms, not patients"
    names = ", ".join(one.name for one in everything.datasets)
    sheets = []
    for k in range(number):
        some = shown[k * contact_sheet.PER_SHEET : (k + 1) * contact_sheet.PER_SHEET]
        title = f"Copies in {names}" + f", sheet {k + 1} of {number}" * (number > 1)
        drawn = [_pair(everything, kind, link) for kind, link in some]
        sheets.append(contact_sheet.draw(drawn, title, note))
    return sheets


def _pair(everything: Collection, kind: str, link: Link) -> contact_sheet.Pair:
    pixels, names = [], []
    for image in link[:2]:
        one, row = everything.find(image)
        name = str(one.split[row])
        split = one.splits[name]
        first = int((one.split == name).argmax())
        pixels.append(fingerprints.decode(split, split.rows[row - first]))
        where = f"{name}, {one.name}" if len(everything.datasets) > 1 else name
        names.append((where, one.table["example_id"][row]))
    return contact_sheet.Pair(link, kind, tuple(pixels), tuple(names))
