"""The headline metrics, each with what it is compared with."""

from __future__ import annotations

from typing import NamedTuple

from cxr_jax.metrics.registry import metric
from cxr_jax.report.material import Material
from cxr_jax.runs import results
from cxr_jax.stats.estimate import Estimate, point


class Headline(NamedTuple):
    """A headline metric.

    Attributes:
      metric: its name in results.json.
      estimate: on test.
      beside: {what it is compared with: estimate}.
    """

    metric: str
    estimate: Estimate
    beside: dict[str, Estimate]

    @property
    def label(self) -> str:
        """The name of the metric as papers write it."""
        return metric(self.metric).label

    @property
    def title(self) -> str:
        """The same with the unit, where it has one."""
        return ", ".join(filter(None, [self.label, metric(self.metric).unit]))


def headlines(material: Material) -> list[Headline]:
    """Returns the task's headline metrics that the run has, the main one first."""
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
    """Returns {metric: Estimate} on 'test' or 'val'."""
    return results.estimates(material.results, f"{role}/")
