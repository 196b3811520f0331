"""One row after another: data, trainings, tests elsewhere, audits, figures."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.errors import InputError

from .. import attempts, jobs, local
from .. import slots as slots_lib
from . import arms, follow_up, leaks, measured, module
from .arms import Settings
from .follow_up import Audit
from .measured import External, Figures
from .releases import Releases
from .row import HONEST, Row

MEASURED, NEEDS, FAILED, STOPPED = "measured", "needs", "failed", "stopped"
_RESUME = "run the same command again to resume"


class Outcome(NamedTuple):
    """What became of a row.

    Attributes:
      row: itself.
      state: needs something that is not there; failed; or was stopped.
      reason: why there is no figure, or ''; hint: what to do.
      figures: {arm: ...}.
      external, audit: of the honest arm, where there are any.
      code: with which the whole command ends, where it was stopped.
      is_short: of --quick.
    """

    row: Row
    state: str
    reason: str = ""
    hint: str = ""
    figures: dict[str, Figures] = {}  # noqa: RUF012
    external: External | None = None
    audit: Audit | None = None
    code: int = 0
    is_short: bool = False


class _Ended(Exception):
    """A training failed or was stopped: state, reason, hint, code."""


def of(
    row: Row, settings: Settings, releases: Releases, extra: dict[str, Any]
) -> Outcome:
    """Brings a row to its end, as far as it was not brought before.

    extra: for a row that is a program of its own, see `module.run`.
    """
    found: dict[str, Any] = {"is_short": settings.quick}
    try:
        if row.module:
            estimates = module.run(row, settings, extra)
            return Outcome(row, MEASURED, figures=estimates, **found)
        if row.films:
            releases.require(row.dataset)
            releases.check_films(row.dataset, row.films)
        _measure(row, settings, releases, found)
    except InputError as error:
        where = "--data" if error.where == str(releases.data) else error.where
        found |= {"reason": f"{where}: {error.found}", "hint": error.hint}
        return Outcome(row, NEEDS, **found)
    except _Ended as end:
        state, reason, hint, code = end.args
        found |= {"reason": reason, "hint": hint, "code": code}
        return Outcome(row, state, **found)
    return Outcome(row, STOPPED if "reason" in found else MEASURED, **found)


def _measure(row: Row, settings: Settings, releases: Releases, found) -> None:
    """Fills in `found` as far as it comes."""
    folder = arms.folder(row, settings)
    made = {
        name: arms.make_jobs(
            row, name, settings, arms.data_dir(arm, releases, settings)
        )
        for name, arm in row.arms.items()
    }
    if settings.start:
        _run(folder, [job for some in made.values() for job in some])
    figures = found.setdefault("figures", {})
    for name, some in made.items():
        total, left = _unfinished(folder, some)
        if left == total:
            raise _Ended(STOPPED, f"{name}: not run", _RESUME, 0)
        if left:
            found["reason"] = f"{name}: {total - left} of {total} runs"
            found["hint"] = _RESUME
        of_arm = measured.figures(folder / name)
        figures[name] = of_arm._replace(leaks=leaks.of(of_arm.first))
    if HONEST not in figures:
        return
    if row.external:
        found["external"] = follow_up.tested_elsewhere(
            folder / HONEST, row.external, releases
        )
    run = figures[HONEST].first
    audit = found["audit"] = follow_up.audited(run, settings.folder / "audits")
    # Of a short training only where the films themselves are under suspicion.
    if settings.start and (not settings.quick or _gives_away(figures, audit)):
        found["audit"] = follow_up.with_model(run, audit, whole=not settings.quick)


def _run(folder: pathlib.Path, made: list[jobs.Job]) -> None:
    """All arms together: where there are several jobs, two at a time.

    A small run is half its start, and hardly faster on two cores than on one.
    """
    cores, gpus = slots_lib.cores(), slots_lib.gpus()
    places = slots_lib.share(1 if gpus else min(2, len(made)), cores, gpus)
    ended, signal = local.run(folder, made, places)
    if signal is not None:
        raise _Ended(STOPPED, f"{signal.name}", _RESUME, 128 + signal)
    _check(folder, made, ended)


def _unfinished(folder: pathlib.Path, made: list[jobs.Job]) -> tuple[int, int]:
    """(runs in all, those of them that are not finished)."""
    at = [each for job in made for each in jobs.standing(folder, job).values()]
    return len(at), sum(each.state != "finished" for each in at)


def _check(folder: pathlib.Path, made: list[jobs.Job], ended) -> None:
    for part in (part for job in made for part in job.parts):
        if ended[part.name].state != "finished":
            last = attempts.last_lines(folder / part.folder)
            reason = f"{ended[part.name].reason}; {' / '.join(last[-2:])}"
            hint = f"see {folder / part.folder / attempts.LOG}"
            raise _Ended(FAILED, f"{part.name} {reason}", hint, 0)


def headline(outcome: Outcome, arm: str) -> Estimate | None:
    """The figure of an arm in the metric of the row."""
    if arm not in outcome.figures:
        return None
    return outcome.figures[arm].estimates.get(outcome.row.metric)


def is_mostly_shortcut(outcome: Outcome) -> bool:
    """A border without a lung gives more than half of what the model has above chance.

    Where the model itself was audited, that it keeps half on a border counts too.
    """
    if outcome.audit is None or HONEST not in outcome.figures:
        return False
    by_data = _gives_away(outcome.figures, outcome.audit)
    return by_data or bool(outcome.audit.shortcut)


def _gives_away(figures: dict[str, Figures], audit: Audit) -> bool:
    """The border of the films alone has half of what the model has above chance."""
    whole = figures[HONEST].estimates
    area = whole.get("auroc") or whole.get("auroc_macro")
    return bool(
        area is not None
        and audit.border is not None
        and audit.is_border_seen
        and audit.border.has_interval
        and area.is_defined
        and audit.border.lo - 0.5 > (area.value - 0.5) / 2
    )
