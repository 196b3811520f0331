"""A finished run as what scores films."""

from __future__ import annotations

import pathlib

from cxr_jax.predict import gate_of_run, of_run
from cxr_jax.predict.of_run import Opened
from cxr_jax.predict.scoring import NO_GATE, Scorer


def scorer(workdir: pathlib.Path, mode: str) -> Scorer:
    """The model of a run that was best on val.

    Args:
      workdir: of a finished run.
      mode: of `scoring.MODES`: the gate is fitted on the first time it is wanted.

    Raises:
      InputError: as of `of_run.open_run` and `gate_of_run.of_run`.
    """
    return of_opened(of_run.open_run(workdir), mode)


def of_opened(opened: Opened, mode: str) -> Scorer:
    """The same of a run that is open."""
    gate = None if mode == NO_GATE else gate_of_run.of_run(opened)
    return Scorer(opened.recipe, opened.network, opened.batch_size, gate)
