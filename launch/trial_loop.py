"""Runs the trials of a search, and the best of them to its end."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
from typing import Any, NamedTuple

from cxr_jax.devices.terminal import say
from cxr_jax.runs import text_table
from cxr_jax.stats.estimate import number
from cxr_jax.train.signals import listening
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.text import csv_text

from . import attempts, claim, jobs, local, progress, register, slots, trials
from .live_table import LiveTable
from .pool import Pool
from .progress import Progress
from .trials import Search

_TURN = "search"  # what launchers of one search do one at a time


class Asked(NamedTuple):
    """What the command line asks for; see the flags of `search`."""

    config: str
    folder: pathlib.Path
    extra: list[str]
    trials: int = 20
    parallel: int = 1
    storage: str = ""
    pruner: str = "hyperband"


def show(asked: Asked) -> int:
    """Prints the command of a first trial, and leaves nothing."""
    made = trials.open_search(
        asked.config, asked.extra, asked.folder, ":memory:", asked.pruner
    )
    _, part = trials.ask(made)
    say(jobs.line(_job(asked, part, test=False)))
    return 0


def run(asked: Asked) -> int:
    """Runs trials until there are enough, then the best of them to its end.

    Returns:
      The exit code: 0 when the best has been tested; 1 if no trial is complete, or one
      is left to another process; 128 + the signal if the search was stopped.
    """
    search = trials.open_search(
        asked.config, asked.extra, asked.folder, asked.storage, asked.pruner
    )
    _check_untested(asked, search)
    places = slots.share(asked.parallel, slots.cores(), slots.gpus())
    stopped = _Loop(asked, search, Pool(asked.folder, places)).run()
    write_table(asked.folder, search)
    if stopped is not None:
        say(f"{stopped.name}: stopped; run the same command again to resume")
        return 128 + stopped
    return _test_the_best(asked, search)


class _Going(NamedTuple):
    """A trial whose process is running."""

    trial: Any
    part: jobs.Part
    pruned: bool = False


class _Loop:
    """Asks for trials while there is room, follows them, and tells how they ended."""

    def __init__(self, asked: Asked, search: Search, pool: Pool):
        self._asked, self._search, self._pool = asked, search, pool
        self._going: dict[int, _Going] = {}
        self._table = LiveTable()
        self._found: dict[str, Progress] = {}
        self._tried: set[int] = set()  # numbers of trials that were left, and looked at

    def run(self) -> signal.Signals | None:
        passed_on = 0
        try:
            with listening(patient=True) as stop:
                while True:
                    while self._pool.has_room and not stop.signal and self._start():
                        pass
                    if not self._pool.running:
                        return stop.signal
                    passed_on = local.pass_on(self._pool, stop, passed_on, self._table)
                    if self._table.is_due():
                        self._look()
                    for ended in self._pool.ended(0.2):
                        local.record(self._asked.folder, ended, stop)
                        self._tell(self._going.pop(ended.child.pid))
        finally:
            self._table.show(self._found)
            self._pool.close()

    def _start(self) -> bool:
        """Starts a trial that was left, or the next; -> was there one?

        One launcher at a time: between asking for a trial and claiming its run another
        would take it for one that was left.
        """
        with claim.alone(self._asked.folder, _TURN):
            return self._start_alone()

    def _start_alone(self) -> bool:
        search, folder = self._search, self._asked.folder
        if trial := self._left():
            part = trials.part(search.study.trials[trial.number])
        elif len(search.study.get_trials(deepcopy=False)) < self._asked.trials:
            trial, part = trials.ask(search)
            if twin := trials.twin(search, part):
                self._table.message(f"{part.name} has the config of {twin.number}")
                search.study.tell(trial, twin.value)
                return True
        else:
            return False
        if part is None:  # killed before it was known what it is
            trials.fail(search, trial)
            return True
        self._tried.add(trial.number)
        held = claim.claimed(folder, [part.digest])
        if held is None:  # another launcher has it
            return True
        if self._is_over(_Going(trial, part)):  # before it was claimed here
            claim.release(held)
            return True
        child = self._pool.start(_job(self._asked, part, test=False), held)
        self._going[child.pid] = _Going(trial, part)
        self._found[part.name] = Progress("running")
        return True

    def _is_over(self, each: _Going) -> bool:
        """Whether its run has ended; then that is told, if nobody did yet."""
        if not trials.has_ended(self._search, each.trial):
            workdir = self._asked.folder / each.part.folder
            if progress.of(workdir, each.part.digest, progress.VAL).state != "finished":
                return False
            self._tell_alone(each)
        return True

    def _left(self) -> Any:
        """A trial that began and has not ended, and that was not looked at yet; or None."""
        unfinished = trials.unfinished(self._search)
        return next((t for t in unfinished if t.number not in self._tried), None)

    def _look(self) -> None:
        """Reads how far the trials are, and ends those that promise little."""
        for pid, each in self._going.items():
            workdir = self._asked.folder / each.part.folder
            self._found[each.part.name] = progress.measured(workdir)
            hopeless = trials.report(self._search, each.trial, workdir)
            if hopeless and not each.pruned:
                self._going[pid] = each._replace(pruned=True)
                self._table.message(f"{each.part.name}: pruned")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        self._table.show(self._found)

    def _tell(self, each: _Going) -> None:
        """Tells how a trial ended, unless a launcher that went on with it did."""
        with claim.alone(self._asked.folder, _TURN):
            if not trials.has_ended(self._search, each.trial):
                self._tell_alone(each)

    def _tell_alone(self, each: _Going) -> None:
        workdir = self._asked.folder / each.part.folder
        at = progress.of(workdir, each.part.digest, progress.VAL)
        trials.report(self._search, each.trial, workdir)
        if at.state == "finished":
            content = files.read_json(workdir / progress.VAL, missing="")
            self._search.study.tell(each.trial, content["best"]["value"])
        elif each.pruned:
            trials.prune(self._search, each.trial)
            at = at._replace(reason="pruned")
        elif at.state in ("failed", "damaged"):
            trials.fail(self._search, each.trial)
            end = "\n".join(f"    {x}" for x in attempts.last_lines(workdir))
            self._table.message(f"{each.part.name}: {at.reason}\n{end}")
        self._found[each.part.name] = at  # one that was stopped is resumed


def _job(asked: Asked, part: jobs.Part, *, test: bool) -> jobs.Job:
    extra = asked.extra if test else [*asked.extra, "--notest"]
    workdir = asked.folder / part.folder
    words = jobs.command_of(asked.config, workdir, part.overrides, extra)
    result = progress.RESULTS if test else progress.VAL
    return jobs.Job(
        (part,), tuple(words), f"{part.folder}/{attempts.LOG}", result=result
    )


def _check_untested(asked: Asked, search: Search) -> None:
    """Refuses more trials once test has been seen: they would be chosen with it."""
    known = search.study.get_trials(deepcopy=False)
    parts = [part for trial in known if (part := trials.part(trial))]
    tested = [
        p.name for p in parts if (asked.folder / p.folder / "results.json").exists()
    ]
    if tested and len(known) < asked.trials:
        raise InputError(
            asked.folder,
            f"{tested[0]} was the best of {len(known)} trials, and has been tested",
            "search again in a new --workdir, or keep --trials as it was",
        )


def _test_the_best(asked: Asked, search: Search) -> int:
    if trials.unfinished(search):
        say("another process is running trials; the last to end tests the best")
        return 1
    best = trials.best(search)
    if best is None:
        say("no trial is complete: there is nothing to test")
        return 1
    part = trials.part(best)
    assert part is not None  # it was trained
    say(f"\nbest on val: {part.name}, {search.metric} {number(best.value)}: test")
    register.save(asked.folder, asked.config, asked.extra, [part])
    job = _job(asked, part, test=True)
    places = slots.share(1, slots.cores(), slots.gpus())
    found, stopped = local.run(asked.folder, [job], places)
    if stopped is not None:
        return 128 + stopped
    for line in attempts.last_lines(asked.folder / part.folder):
        say(f"    {line}")
    return 0 if found[part.name].state == "finished" else 1


def write_table(folder: pathlib.Path, search: Search) -> None:
    """Prints the trials with their cost, best first, and writes `search.csv`."""
    rows, cells, seconds, gpu_hours = [], [], 0.0, 0.0
    known = trials.ranked(search)
    keys = sorted({key for t in known for key in t.user_attrs.get("overrides", {})})
    for trial in known:
        tried = attempts.read(folder / f"trial={trial.number:04d}")
        own = sum(each.seconds for each in tried)
        hours = sum(each.seconds * each.devices for each in tried) / 3600
        seconds, gpu_hours = seconds + own, gpu_hours + hours
        state = trial.state.name.lower()
        overrides = trial.user_attrs.get("overrides", {})
        values = [overrides.get(key, "") for key in keys]
        value = "" if trial.value is None else trial.value
        rows.append([trial.number, state, *values, value, round(own, 1), hours])
        shown = "" if trial.value is None else number(trial.value)
        minutes = f"{own / 60:.1f}"
        cells.append([f"{trial.number}", state, *map(_short, values), shown, minutes])
    head = [*keys, f"val/{search.metric}", "seconds", "gpu_hours"]
    files.write_text(
        folder / "search.csv", csv_text([["trial", "state", *head], *rows])
    )
    names = [key.rpartition(".")[2] for key in keys]
    for line in text_table.lines(
        ["trial", "state", *names, search.metric, "minutes"], cells[:20]
    ):
        say(line)
    counts = text_table.count(len(known), "trials")
    say(f"{counts}, {seconds / 3600:.2f} hours, {gpu_hours:.2f} GPU hours")
    say(f"written: {folder / 'search.csv'}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
