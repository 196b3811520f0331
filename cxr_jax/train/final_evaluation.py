"""The end of a run: val again and test for the only time, into `results.json`.

Of several runs that compete on val, only the best goes on to test: the others end with
`val.json`.
"""

from __future__ import annotations

from cxr_jax import trees
from cxr_jax.data import roles
from cxr_jax.devices.terminal import say
from cxr_jax.evaluation import evaluators, labels, settling
from cxr_jax.evaluation.evaluators import Evaluation
from cxr_jax.runs import checkpoint, results
from cxr_jax.tasks import Task
from cxr_jax.train.session import Run


def finish(run: Run, *, test: bool = True) -> None:
    """Evaluates the checkpoint that was best on val, and writes what it found.

    test: also on test, which finishes the run.
    """
    evaluated = ("val", "test") if test else ("val",)
    exp, splits, workdir, best = run.exp, run.splits, run.workdir, run.memory["best"]
    if run.label:
        say(f"\n{run.label}")
    store = checkpoint.open_store(workdir / "checkpoints", read_only=True)
    state, _ = checkpoint.restore(store, exp.abstract_state, best["step"])
    eval_step = exp.compile_eval_step()
    evaluations = {}
    for role in evaluated:
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
        "val_parts": _val_parts(exp.task, evaluations["val"]),
        "labels": {
            role: labels.count(exp.task, exp.task.targets(getattr(splits, role)))
            for role in roles.ROLES
        },
        "confusion": {
            role: exp.task.confusion(e.targets, e.predictions, best["decision"])
            for role, e in evaluations.items()
        },
        "shared_patients": roles.shared_patients(splits),
        "dataset": splits.description["name"],
        "synthetic": splits.description["synthetic"],
    }
    path = workdir / ("results.json" if test else "val.json")
    results.save(path, content)
    results.show(evaluated[-1], content)
    say(f"\nwritten: {path}")


def _val_parts(task: Task, val: Evaluation) -> dict[str, dict[str, int]]:
    """How much of val picked the checkpoint, and how much settled the rest."""
    found = settling.parts(task, val.split.table["patient_id"], val.targets)
    return settling.size(val.split, found)
