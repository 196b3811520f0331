"""The figures that count, each beside what it is compared with."""

from __future__ import annotations

from typing import NamedTuple

from cxr_jax.metrics.registry import metric
from cxr_jax.report.material import Material
from cxr_jax.runs import results
from cxr_jax.stats.estimate import Estimate, point


class Headline(NamedTuple):
    """A figure that counts.

    Attributes:
      metric: as results.json has it.
      estimate: on test.
      beside: {what it is compared with: figure}.
    """

    metric: str
    estimate: Estimate
    beside: dict[str, Estimate]

    @property
    def label(self) -> str:
        """As the field writes the metric."""
        return metric(self.metric).label


def headlines(material: Material) -> list[Headline]:
    """Those of the task that the run has, the one that counts first."""
    found = estimates(material, "test")
    listed = []
    for name in material.task.headline:
        if name in found:
            beside = {
                what: point(float(other))
                if not isinstance(other, str)
                else found[other]
                for what, other in metric(name).beside.items()
                if not isinstance(other, str) or other in found
            }
            listed.append(Headline(name, found[name], beside))
    return listed


def estimates(material: Material, role: str) -> dict[str, Estimate]:
    """{metric: Estimate} of 'test' or 'val'."""
    return results.estimates(material.results, f"{role}/")
