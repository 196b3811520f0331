"""The content of `audit.json`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cxr_jax.audits.data.association import Association
from cxr_jax.audits.data.attributes import Attribute
from cxr_jax.audits.data.baselines import Baseline
from cxr_jax.audits.data.collection import Collection
from cxr_jax.audits.data.copies import Link
from cxr_jax.audits.data.findings import Finding
from cxr_jax.stats.bootstrap import Estimate


def finding(found: Finding) -> dict[str, Any]:
    """Its fields, and whether it is a leak that is not allowed."""
    return {**found._asdict(), "leak": found.leak}


def association(attribute: Attribute, found: Association) -> dict[str, Any]:
    """The measure, what it is between, and the categories."""
    values = {name: number(value) for name, value in found._asdict().items()}
    return {
        "attribute": attribute.name,
        **values,
        "categories": list(attribute.categories),
        "pooled": attribute.others,
        "missing": int(attribute.missing.sum()),
    }


def baseline(found: Baseline) -> dict[str, Any]:
    """Its AUROC, and that of each class, with intervals."""
    return {
        "sees": found.sees,
        "sees_lung": found.sees_lung,
        "auroc": estimate(found.auroc),
        "by_class": {name: estimate(value) for name, value in found.by_class.items()},
    }


def estimate(found: Estimate) -> dict[str, Any]:
    """{value, lo, hi, n}, and a reason where there is one."""
    values = {name: number(value) for name, value in found._asdict().items()}
    return (
        values if found.reason else {k: v for k, v in values.items() if k != "reason"}
    )


def pairs(
    collection: Collection, found: Sequence[tuple[str, Link]]
) -> list[dict[str, Any]]:
    """The copies, each with where its two images are."""
    return [
        {
            "kind": kind,
            "identical": link.identical,
            "correlation": round(link.correlation, 4),
            "mirrored": link.mirrored,
            "left": image(collection, link.left),
            "right": image(collection, link.right),
        }
        for kind, link in found
    ]


def image(collection: Collection, number: int) -> dict[str, str]:
    """Where an image is, and whose."""
    dataset, row = collection.find(number)
    return {
        "dataset": dataset.name,
        "split": str(dataset.split[row]),
        "example_id": dataset.table["example_id"][row],
        "patient_id": dataset.table["patient_id"][row],
    }


def number(value: Any) -> Any:
    """JSON knows no NaN: None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
