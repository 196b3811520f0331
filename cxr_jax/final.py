"""The end of a run: val again and test for the only time, into `results.json`."""

from __future__ import annotations

import pathlib
from typing import Any

import jax

from cxr_jax import checkpoint, evaluators, results, sharding, trees
from cxr_jax import state as state_lib
from cxr_jax.data import roles
from cxr_jax.experiment import Experiment
from cxr_jax.writer import say


def finish(
    exp: Experiment,
    splits: roles.Splits,
    workdir: pathlib.Path,
    best: dict[str, Any],
) -> None:
    """Evaluates the checkpoint that was best on val, and writes what it found.

    Args:
      best: the record of that evaluation: step, metric, value, decision.
    """
    store = checkpoint.open_store(workdir / "checkpoints")
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    eval_step = jax.jit(exp.eval_step, out_shardings=sharding.replicated(exp.mesh))
    evaluations = {}
    for role in ("val", "test"):
        evaluations[role] = evaluators.evaluate(
            eval_step,
            state_lib.evaluation_variables(state),
            getattr(splits, role),
            exp.task,
            best["decision"],
            config=exp.config,
            mesh=exp.mesh,
            resamples=exp.config.resamples,
        )
        evaluators.save_predictions(
            workdir / "predictions", evaluations[role], exp.task
        )
    description = splits.description
    results.save(
        workdir / "results.json",
        {
            "metrics": results.to_json(evaluations),
            "best_step": best["step"],
            "best": best,
            "sizes": {
                "parameters": trees.size(state.params),
                "train": splits.train.size,
                **{role: results.size(e) for role, e in evaluations.items()},
            },
            "confusion": {
                role: exp.task.confusion(e.targets, e.predictions, best["decision"])
                for role, e in evaluations.items()
            },
            "shared_patients": roles.shared_patients(splits),
            "dataset": description["name"],
            "synthetic": description["synthetic"],
        },
    )
    results.show(
        evaluations["test"],
        f"{description['name']} {splits.test.split}, checkpoint of step "
        f"{best['step']} ({best['metric']} {best['value']:.3f})",
    )
    say(f"\nwritten: {workdir / 'results.json'}")
