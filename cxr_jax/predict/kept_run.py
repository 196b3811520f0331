"""A run that was opened before, as what scores films: without building its model.

Neither flax nor optax is imported, and nothing is traced: what the files of the run have
to be is checked as ever, and the rest is kept by `blueprint` and `ahead`.
"""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax.devices import known_answers, sharding
from cxr_jax.predict import blueprint as blueprint_lib
from cxr_jax.predict import kept_gate, run_files
from cxr_jax.predict.blueprint import Blueprint
from cxr_jax.predict.programs import Programs
from cxr_jax.predict.scoring import NO_GATE, Scorer
from cxr_jax.runs import best as best_lib
from cxr_jax.runs import results_file, saved


def scorer(
    workdir: pathlib.Path,
    mode: str,
    functions: Callable[[ConfigDict], Mapping[str, Callable[..., Any]]],
) -> Scorer | None:
    """The same as `opening.scorer`; None where too little is kept.

    Args:
      workdir: of a finished run.
      mode: of `scoring.MODES`.
      functions: config -> of `of_run.functions`; called where a program is not kept.

    Raises:
      InputError: as of `of_run.open_run`.
    """
    run_files.check_folder(workdir)
    known_answers.require()
    digest = run_files.results(workdir).get("digest", "")
    config = config_lib.from_json(workdir / "config.json")
    blueprint = blueprint_lib.kept(config)
    if blueprint is None:
        return None
    results_file.check_finished(workdir)
    gate = None if mode == NO_GATE else kept_gate.read(workdir, digest)
    if gate is None and mode != NO_GATE:
        return None
    mesh = sharding.make_mesh(config.batch_size, config.accumulate)
    bits = run_files.preprocess_of(workdir, config).bits
    network = Programs(config, blueprint, mesh, lambda: functions(config), bits)
    # Which computes without the interpreter, as do the arrays that are read meanwhile.
    threading.Thread(target=network.load).start()
    best, arrays = _best(workdir, blueprint)
    network.hold(blueprint_lib.variables(arrays))
    recipe = run_files.recipe(workdir, config, blueprint, best["decision"])
    return Scorer(recipe, network, config.batch_size, gate)


def _best(
    workdir: pathlib.Path, blueprint: Blueprint
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(best.json, the arrays of its checkpoint to evaluate with)."""
    folder = workdir / "checkpoints"
    best = best_lib.read(folder)
    arrays, meta = saved.read(folder, best["step"], blueprint.shapes)
    best_lib.check(folder, best, meta["best"])
    return best, arrays
