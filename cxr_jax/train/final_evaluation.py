"""The end of a run: val again and test for the only time, into `results.json`."""

from __future__ import annotations

import pathlib
from typing import Any

from cxr_jax import trees
from cxr_jax.data import roles
from cxr_jax.evaluation import evaluators
from cxr_jax.experiment import Experiment
from cxr_jax.runs import checkpoint, results
from cxr_jax.runs.writer import say


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
    store = checkpoint.open_store(workdir / "checkpoints", read_only=True)
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    eval_step = evaluators.compile_step(exp)
    evaluations = {}
    for role in ("val", "test"):
        evaluations[role] = evaluators.evaluate(
            exp,
            eval_step,
            state,
            getattr(splits, role),
            best["decision"],
            resamples=exp.config.resamples,
        )
        name = f"{evaluations[role].split.dataset}-{role}"
        evaluators.save_predictions(
            workdir / "predictions" / f"{name}.csv", evaluations[role], exp.task
        )
    content = {
        "metrics": results.to_json(
            {role: e.metrics for role, e in evaluations.items()}
        ),
        "best_step": best["step"],
        "best": best,
        "sizes": {
            "parameters": trees.size(state.params),
            **{role: results.size(getattr(splits, role)) for role in roles.ROLES},
        },
        "confusion": {
            role: exp.task.confusion(e.targets, e.predictions, best["decision"])
            for role, e in evaluations.items()
        },
        "shared_patients": roles.shared_patients(splits),
        "dataset": splits.description["name"],
        "synthetic": splits.description["synthetic"],
    }
    results.save(workdir / "results.json", content)
    results.show("test", content)
    say(f"\nwritten: {workdir / 'results.json'}")
