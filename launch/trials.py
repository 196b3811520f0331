"""The trials of a search, as Optuna keeps them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import rng
from cxr_jax.metrics import metric
from cxr_jax.tasks import make_task
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

from . import plan, progress, unique
from .jobs import Part

PRUNERS = ("hyperband", "median", "none")
_PAUSES = (0.5, 1.0, 2.0)  # s, before a database is tried again
_OVERRIDES, _DIGEST, _SEARCH = "overrides", "digest", "search"


class Search(NamedTuple):
    """What is searched.

    Attributes:
      path, suggest: the file, and its `search(trial)`.
      config: that all trials share.
      metric: on val, without 'val/'.
      study: of Optuna.
    """

    path: pathlib.Path
    suggest: Callable[[Any], dict[str, Any]]
    config: ConfigDict
    metric: str
    study: Any


def optuna():
    """The package, which is an extra.

    Raises:
      InputError: it is not installed.
    """
    try:
        import optuna as found
    except ModuleNotFoundError:
        raise InputError(
            "launch.search",
            "needs Optuna, which is not installed",
            "pip install 'cxr_jax[search]'",
        ) from None
    found.logging.set_verbosity(found.logging.ERROR)
    return found


def open_search(
    config: str, extra: list[str], folder: pathlib.Path, storage: str, pruner: str
) -> Search:
    """Begins a search, or resumes the one in the storage.

    Args:
      config: a file with `get_config` and `search(trial)`.
      extra: overrides for every trial.
      folder: of the workdirs.
      storage: URL of a database, 'journal:FILE', or '' for SQLite in the folder;
        ':memory:' keeps nothing.
      pruner: one of PRUNERS.

    Raises:
      InputError: a mistake in the file, or the storage has another search.
    """
    package = optuna()
    path, module = plan.open_file(
        config, "search", "return {'optim.lr': trial.suggest_float(...)}"
    )
    base = plan.read_config(config, path, module, extra)
    name = base.select or make_task(base.task).select
    made = {
        "hyperband": package.pruners.HyperbandPruner,
        "median": package.pruners.MedianPruner,
        "none": package.pruners.NopPruner,
    }[pruner]()
    try:
        study = _study(
            package,
            study_name=folder.name or _SEARCH,
            storage=_storage(package, storage, folder),
            pruner=made,
            direction="minimize" if metric(name).sign < 0 else "maximize",
            load_if_exists=True,
        )
    except Exception as error:  # of any database, and of SQLAlchemy
        text = str(error).strip().splitlines()[0][:200]
        raise InputError(
            f"--storage={storage}", f"cannot be used: {text}", "see docs/sweeps.md"
        ) from error
    about = {"config": unique.digest(config_lib.to_dict(base)), "metric": name}
    kept = study.user_attrs.get(_SEARCH)
    if kept is None:
        study.set_user_attr(_SEARCH, about)
    elif kept != about:
        raise InputError(
            folder,
            "holds a search of another config, or for another metric",
            "undo the change, or give a --workdir of another name",
        )
    return Search(path, module.search, base, name, study)


def _study(package, **settings) -> Any:
    """The study; where two machines begin a search, one finds half of the tables."""
    from sqlalchemy.exc import DBAPIError  # comes with Optuna

    for pause in _PAUSES:
        try:
            return package.create_study(**settings)
        except DBAPIError:
            time.sleep(pause)
    return package.create_study(**settings)


def _storage(package, storage: str, folder: pathlib.Path) -> Any:
    if storage == ":memory:":
        return None
    kind, colon, place = storage.partition(":")
    if kind == "journal" and colon:
        backend = package.storages.journal.JournalFileBackend(place)
        return package.storages.JournalStorage(backend)
    if storage:
        return storage
    with files.explained(folder / "search.db"):
        folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'search.db'}"


def ask(search: Search) -> tuple[Any, Part]:
    """The next trial and its run.

    What it suggests is a function of the seed, its number and the trials before it, also
    where the search was resumed in between.
    """
    package = optuna()
    number = len(search.study.get_trials(deepcopy=False))
    seed = rng.generator(search.config.seed, f"search {number}").integers(2**31)
    search.study.sampler = package.samplers.TPESampler(
        seed=int(seed), constant_liar=True
    )
    trial = search.study.ask()
    try:
        with plan.explained(search.path, "search(trial) fails"):
            overrides = search.suggest(trial)
        if not isinstance(overrides, dict) or not overrides:
            raise InputError(
                search.path,
                f"search(trial) returns {overrides!r}",
                "return {key: value}: {'optim.lr': trial.suggest_float(...)}",
            )
        whole = plan.changed(search.path, search.config, overrides)
    except BaseException:
        search.study.tell(trial, state=package.trial.TrialState.FAIL)
        raise
    trial.set_user_attr(_DIGEST, unique.digest(whole))
    trial.set_user_attr(_OVERRIDES, overrides)
    own = part(search.study.trials[trial.number])
    assert own is not None  # it was just written
    return trial, own


def part(trial: Any) -> Part | None:
    """The run of a trial; None of one that was killed before it was known."""
    if _OVERRIDES not in trial.user_attrs:
        return None
    name = f"trial={trial.number:04d}"
    return Part(name, name, trial.user_attrs[_DIGEST], trial.user_attrs[_OVERRIDES])


def twin(search: Search, own: Part) -> Any:
    """A complete trial of the same config, or None."""
    state = optuna().trial.TrialState.COMPLETE
    for trial in search.study.get_trials(deepcopy=False, states=(state,)):
        if trial.user_attrs.get(_DIGEST) == own.digest:
            return trial
    return None


def report(search: Search, trial: Any, workdir: pathlib.Path) -> bool:
    """Hands on what was evaluated since the last call; -> is it hopeless?

    The unit of pruning is an evaluation on val, whatever the steps between two.
    """
    rows = progress.last_rows(workdir / "metrics.jsonl", size=0)
    values = [row[k] for row in rows if (k := f"val/{search.metric}") in row]
    known = search.study.trials[trial.number].intermediate_values
    hopeless = False
    for number, value in enumerate(values, 1):
        if number not in known and value is not None:
            trial.report(value, number)
            hopeless = trial.should_prune()
    return hopeless


def unfinished(search: Search) -> list[Any]:
    """Trials that were begun and have not ended, here or elsewhere."""
    package = optuna()
    found = search.study.get_trials(states=(package.trial.TrialState.RUNNING,))
    return [package.trial.Trial(search.study, trial._trial_id) for trial in found]


def has_ended(search: Search, trial: Any) -> bool:
    """Whether it has been told how the trial ended, here or elsewhere."""
    state = search.study.get_trials(deepcopy=False)[trial.number].state
    return state.is_finished()


def fail(search: Search, trial: Any) -> None:
    """It ended without a value, and is not tried again."""
    search.study.tell(trial, state=optuna().trial.TrialState.FAIL)


def prune(search: Search, trial: Any) -> None:
    """It was ended because it promised little; what it reported counts."""
    search.study.tell(trial, state=optuna().trial.TrialState.PRUNED)


def best(search: Search) -> Any:
    """The complete trial that is best on val, the earlier of equal ones; or None."""
    state = optuna().trial.TrialState.COMPLETE
    complete = [t for t in ranked(search) if t.state == state]
    return complete[0] if complete else None


def ranked(search: Search) -> list[Any]:
    """All trials, those without a value last."""
    sign = metric(search.metric).sign
    complete = optuna().trial.TrialState.COMPLETE

    def order(trial: Any) -> tuple[bool, float, int]:
        if trial.state != complete:
            return True, 0.0, trial.number
        return False, -sign * trial.value, trial.number

    return sorted(search.study.get_trials(deepcopy=False), key=order)
