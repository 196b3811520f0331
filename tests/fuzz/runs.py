"""The files of a run: config, results, metrics, best, provenance, predictions."""

import contextlib
import copy
import functools
import io
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from configs import quickstart
from cxr_jax import config as config_lib
from cxr_jax.runs import (
    best,
    forms,
    own_digest,
    predictions,
    provenance,
    results,
)
from cxr_jax.runs.writer import Writer
from cxr_jax.stats.estimate import Estimate
from cxr_jax.tasks import make_task
from tests.fuzz import mutations
from tests.fuzz.case import Case, Kind, Original, Reading
from tests.fuzz.mutations import pick
from tfds_builders.common import files
from tfds_builders.common.forms import check

_IMAGES = 12
_DATASET = "brixia/256/1.0.0"


def _split() -> SimpleNamespace:
    """The test split, as far as stored predictions are checked against it."""
    rng = np.random.default_rng(0)
    table = {
        "example_id": [f"{10**19 + i}" for i in range(_IMAGES)],
        "patient_id": [f"P{i // 2}" for i in range(_IMAGES)],
        "scores": rng.integers(0, 4, (_IMAGES, 6)),
    }
    return SimpleNamespace(dataset="brixia", split="test", size=_IMAGES, table=table)


def _results() -> dict:
    estimate = Estimate(0.63, 0.57, 0.69, _IMAGES).to_json()
    names = ("mae_zone", "mae_zone_A", "mae_global", "pearson_zone", "loss")
    sizes = {"images": _IMAGES, "patients": _IMAGES // 2}
    confusion = {"classes": [0, 1, 2, 3], "target_by_called": np.eye(4).tolist()}
    return {
        "metrics": {f"{s}/{n}": estimate for s in ("val", "test") for n in names},
        "best_step": 36,
        "best": _best(),
        "sizes": {"parameters": 115848, "train": sizes, "val": sizes, "test": sizes},
        "confusion": {"val": confusion, "test": confusion},
        "shared_patients": {"train-val": 0, "train-test": 0, "val-test": 0},
        "dataset": _DATASET,
        "synthetic": True,
    }


def _best() -> dict:
    decision = {
        "confidence": {
            "temperature": 0.78,
            "vector": {"scale": [1.5, 1.0, 0.7, 1.3], "shift": [0.0, 0.2, 0.2, -0.3]},
            "least": 0.17,
        },
        "median": [1.0, 2.0, 2.0, 0.0, 2.0, 2.0],
    }
    best = {"step": 36, "metric": "val/mae_zone", "value": 0.63, "loss": 0.97}
    return {**best, "decision": decision}


def _provenance() -> dict:
    role = {"images": _IMAGES, "patients": _IMAGES // 2, "sha256": "4caa2495" * 8}
    return {
        "command": ["main.py", "--config=configs/quickstart.py"],
        "git": {"revision": "f005fa1", "changed": False},
        "python": "3.13.0",
        "packages": {"jax": "0.12.0", "numpy": "2.4.6"},
        "device": {"platform": "cpu", "kind": "cpu", "count": 1},
        "dataset": {
            "name": _DATASET,
            "version": "1.0.0",
            "built": {"test": {"examples": _IMAGES, "bytes": 9000}},
            "synthetic": True,
            "roles": {"train": role, "val": role, "test": role},
        },
    }


def _metrics() -> str:
    rows = [
        {"step": step, "train/loss": 1.3 / step, "lr": 5e-4, "val/auroc": None}
        for step in range(1, 21)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def _predictions() -> str:
    split = _split()
    task = make_task(quickstart.get_config().task)
    probs = np.random.default_rng(1).dirichlet(np.ones(4), (_IMAGES, 6))
    columns = {
        "example_id": split.table["example_id"],
        "patient_id": split.table["patient_id"],
        **task.columns(
            task.targets(split),
            {"probs": probs, "expected": probs @ np.arange(4)},
        ),
    }
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    return "\n".join(lines) + "\n"


@functools.cache
def originals() -> tuple[Original, ...]:
    texts = {
        "config.json": config_lib.to_json(quickstart.get_config()),
        "provenance.json": json.dumps(own_digest.seal(_provenance()), indent=2),
        "checkpoints/best.json": json.dumps(_best(), indent=2),
        "metrics.jsonl": _metrics(),
        "predictions/brixia-test.csv": _predictions(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            files.write_text(Path(folder) / name, text)
        path = Path(folder) / "results.json"
        results.save(path, _results())  # with the digests of all the others
        texts["results.json"] = path.read_text()
    return tuple(Original(name, text.encode()) for name, text in texts.items())


# What stands in place of a value.
_AWKWARD = (
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "text",
    "\x1b[31m\n\ud800",
    [],
    {},
    [[]],
    {"value": 1},
)


def mutate(rng, index: int) -> Case:
    original = originals()[index]
    how = rng.random()
    if how < 0.03:
        case = mutations.no_file(rng, original)
        is_absent = case.mutation in ("nothing", "a link to itself")
        if original.name == "metrics.jsonl" and is_absent:
            return case._replace(demand="any")  # so a run begins
        return case
    if how < 0.3:
        case = mutations.damage(
            rng, originals(), index, lengths="seen", hole_demand="seen"
        )
        return case._replace(demand="seen")  # everything is sealed
    if original.name.endswith(".json"):
        tree = json.loads(original.data)
        family, changed = _mutate_json(rng, tree)
        return Case(original.name, family, json.dumps(changed).encode(), "seen")
    if original.name.endswith(".jsonl"):
        lines = original.data.decode().splitlines()
        at = int(rng.integers(len(lines)))
        family, changed = _mutate_json(rng, json.loads(lines[at]))
        lines[at] = json.dumps(changed)
        return Case(original.name, family, "\n".join(lines).encode(), "seen")
    return _mutate_cell(rng, original)


def _places(tree, path=()) -> list[tuple]:
    """The paths of all values in a JSON tree except the root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += _places(value, (*path, key))
    return found


def _mutate_json(rng, tree):
    """(what was done, the tree): still valid JSON, as after an edit by hand."""
    tree = copy.deepcopy(tree)
    if rng.random() < 0.05:
        return "whole", pick(rng, [[], 3, None, "text", [tree], {}, True])
    *path, key = pick(rng, _places(tree))
    holder = functools.reduce(lambda at, step: at[step], path, tree)
    family = pick(rng, ["key missing", "value", "value", "key renamed", "in a list"])
    if family == "value":
        holder[key] = pick(rng, _AWKWARD)
    elif family == "in a list":
        holder[key] = [holder[key]]
    elif family == "key missing" or isinstance(holder, list):
        del holder[key]
    else:
        holder[f"{key}_"] = holder.pop(key)
    return family, tree


def _mutate_cell(rng, original: Original) -> Case:
    """Changes one cell of the predictions, or their lines."""
    lines = original.data.decode().splitlines()
    row = int(rng.integers(len(lines)))
    family = pick(
        rng,
        ["cell", "cell", "line missing", "line twice", "short", "long", "quote", "NUL"],
    )
    cells = lines[row].split(",")
    at = int(rng.integers(len(cells)))
    if family == "cell":
        cells[at] = pick(rng, ["", "nan", "inf", "-1", "1e999", "text", "0,5", "=1+1"])
    elif family == "short":
        del cells[at]
    elif family == "long":
        cells.insert(at, "1")
    elif family in ("quote", "NUL"):
        cells[at] = '"' if family == "quote" else "\0"
    lines[row] = ",".join(cells)
    if family == "line missing":
        del lines[row]
    elif family == "line twice":
        lines.insert(row, lines[row])
    return Case(original.name, family, "\n".join(lines).encode(), "seen")


def place(folder: Path, case: Case) -> Path:
    """Writes the whole workdir; -> the file that was changed."""
    for original in originals():
        path = folder / original.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if original.name != case.original:
            path.write_bytes(original.data)
    return mutations.place(folder / case.original, case)


def read(path: Path) -> Reading:
    """Reads all that --mode=eval, compare and report read before any image."""
    is_nested = path.parent.name in ("checkpoints", "predictions")
    workdir = path.parent.parent if is_nested else path.parent
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        run = predictions.read(workdir)
    task = make_task(run.config.task)
    check(workdir / "results.json", run.results, forms.RESULTS)
    provenance.read(workdir / "provenance.json")
    predictions.check_alike([run, run])
    predictions.check_data([run], {"roles": run.dataset["roles"]})
    results.show("test", run.results)
    stored = predictions.gather(task, [run], _split(), "brixia-test")
    history = workdir / "metrics.jsonl"
    Writer(
        history,
        start=1000,
        total_steps=1000,
        log_steps=1,
        batch_size=8,
        steps_per_epoch=5.0,
    ).close()
    return Reading(
        {
            "config": config_lib.to_dict(run.config),
            "results": run.results,
            "dataset": run.dataset,
            "best": best.read(workdir / "checkpoints"),
            "probs": stored.probs,
            "history": history.read_text(encoding="utf-8"),
        },
        tuple(line for line in said.getvalue().splitlines() if "WARNING" in line),
    )


RUN = Kind(originals, mutate, place, read, share=2)
