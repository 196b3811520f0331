"""The answer in sentences: what differs from the baseline, and how sure one can be."""

from __future__ import annotations

from cxr_jax.metrics.registry import metric as metric_of
from cxr_jax.stats.estimate import number

from .answer import Answer, Gap, Row


def verdicts(found: Answer) -> list[str]:
    """One sentence a setting about the metric that counts first, the summary before."""
    name = found.metrics[0]
    others = [row for row in found.rows if row.setting.name != found.baseline]
    if not others:
        return ["There is one setting, so nothing to compare it with."]
    differ = [row for row in others if row.gaps[name].differs]
    label = metric_of(name).label
    who = f"{len(differ)} of {len(others)} settings" if differ else "No setting"
    if len(differ) == len(others) == 1:
        who = differ[0].setting.name
    verb = "differ" if len(differ) > 1 else "differs"
    first = f"{who} {verb} from {found.baseline} in {label} beyond chance."
    return [first, *(_verdict(row, row.gaps[name], name) for row in others)]


def _verdict(row: Row, gap: Gap, name: str) -> str:
    estimate, label = gap.effect.estimate, metric_of(name).label
    seeds = f"{len(row.setting.runs)} seed{'s' * (len(row.setting.runs) > 1)}"
    if not estimate.is_defined:
        return f"{row.setting.name}: {label} is not defined ({estimate.reason})."
    if not estimate.has_interval:
        by = number(estimate.value, sign=True)
        return f"{row.setting.name}: {label} {by} with {seeds}; {estimate.reason}."
    if gap.differs:
        verb = "lowers" if estimate.value < 0 else "raises"
        low, high = sorted((abs(estimate.lo), abs(estimate.hi)))
        return (
            f"{row.setting.name} {verb} {label} by {number(abs(estimate.value))} "
            f"({number(low)} to {number(high)}; {seeds})."
        )
    return (
        f"{row.setting.name}: no difference in {label} seen with {seeds} "
        f"({estimate.text(sign=True)}); the smallest that they could have shown: "
        f"{number(gap.effect.least)}."
    )


def notes(found: Answer) -> list[str]:
    """How the figures were made."""
    sizes = {f"{row.images:,} of {row.patients:,}" for row in found.rows}
    lines = []
    if found.resamples and len(sizes) == 1:
        lines.append(f"Test films: {sizes.pop()} patients or what stands for them.")
    if found.resamples:
        lines.append(
            f"Intervals: over patients ({found.resamples:,} resamples) and seeds "
            "together, Student's t. Differences are paired: all settings on the same "
            "resamples, seed by seed."
        )
    else:
        lines.append("Intervals: over seeds alone, Student's t.")
    if any(not gap.is_paired for row in found.rows for gap in row.gaps.values()):
        lines.append(
            "Some settings have other seeds or other test patients than the baseline; "
            "what they do not share is not paired."
        )
    if any(len(row.setting.runs) == 1 for row in found.rows):
        lines.append(
            "Where there is one seed, how far seeds differ is not in the interval."
        )
    lines.append(
        "p: two-sided, corrected by Holm's method over all differences shown. Bold or "
        "*: better than every other setting beyond chance. The smallest difference "
        "that could have been shown: found 80 times in 100 at a level of 5 %."
    )
    return lines
