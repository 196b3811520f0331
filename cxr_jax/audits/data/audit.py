"""The audit: datasets in; `audit.json`, a report and contact sheets out."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from cxr_jax.audits.data import (
    association,
    attributes,
    baselines,
    collection,
    contact_sheet,
    contents,
    copies,
    dataset,
    findings,
    pictures,
    record,
    report,
)
from cxr_jax.audits.data.collection import Collection
from cxr_jax.audits.data.copies import Link
from cxr_jax.audits.data.dataset import Dataset
from cxr_jax.devices.terminal import say
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
    """Reads every picture once; says, draws and writes what was found."""
    names = [one.name for one in datasets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(twice[0], "is given twice", "name every dataset once")
    everything = collection.collect(datasets, [pictures.read(d) for d in datasets])
    found = collection.find_all(everything, settings.allow)
    pairs = collection.pairs(everything)
    say("\n".join(report.verdict(found, datasets)))
    described = {}
    for k in everything.audited:
        described[names[k]] = _describe(everything, k, settings)
    shared = report.copies(collection.overlaps(everything, False))
    if shared:
        say("\n".join(["", *shared]))
    sheets = contact_sheet.write(workdir, _draw(everything, pairs))
    path = workdir / "audit.json"
    leaks = [finding for finding in found if finding.leak]
    content = {
        "leakage": bool(leaks),
        "settings": settings._asdict(),
        "findings": [record.finding(finding) for finding in found],
        "datasets": described,
        "external": {
            one.name: one.description | {"tested": one.tested}
            for one in datasets
            if one.tested
        },
        "overlaps": collection.overlaps(everything, True),
        "pairs": record.pairs(everything, pairs),
        "pairs_not_listed": copies.number(everything.bundles)
        - sum(1 for _ in copies.links(everything.bundles)),
    }
    files.write_text(path, json.dumps(content, indent=1) + "\n")
    say("\n".join(["", *report.written(path, sheets, len(pairs))]))
    return int(bool(leaks))


def _describe(everything: Collection, k: int, settings: Settings) -> dict[str, Any]:
    """Says what one dataset holds and what tells its label; returns it for the JSON."""
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
    say("\n".join(["", *report.shortcuts(one, reached)]))
    say("\n".join(["", *report.associations(one, associated, left_out)]))
    say("\n".join(["", *report.contents(one, held)]))
    return {
        **one.description,
        "unit": one.unit,
        "target": {"name": one.target.name, "classes": list(one.target.classes)},
        "contents": held,
        "without_a_lung": {b.name: record.baseline(b) for b in reached},
        "associations": [record.association(*pair) for pair in associated],
        "no_attributes": left_out,
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
        pixels.append(pictures.decode(split, split.rows[row - first]))
        where = f"{name}, {one.name}" if len(everything.datasets) > 1 else name
        names.append((where, one.table["example_id"][row]))
    return contact_sheet.Pair(link, kind, tuple(pixels), tuple(names))
