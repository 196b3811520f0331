"""What is done with the finished models of a row: tests elsewhere, and audits.

Each leaves a file, and is not done again where that is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from cxr_jax import config as config_lib
from cxr_jax.audits.data import audit as data_audit
from cxr_jax.audits.model import audit as model_audit
from cxr_jax.data import roles
from cxr_jax.evaluation import evaluate
from cxr_jax.evaluation.external import matrix
from cxr_jax.runs import results_file
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common import files

from . import measured
from .measured import External
from .releases import Releases

_AGAIN = "remove it, and run the same command again"
_BORDER = "border"
_MODEL_AUDIT = "model_audit.json"
_SHORTCUTS = "shortcuts.json"
_CROP = "crop_middle"
_LABELS = ("classes", "merge", "column", "reader")


class Audit(NamedTuple):
    """What is known of a figure's films, and of its model.

    Attributes:
      border: AUROC of the class from the border of the films alone, or None.
      is_border_seen: by the model, which may have been given the middle of films only.
      leaks: kinds of leakage between its splits, none of them known.
      shortcut: the model keeps half of what it knows on a border without a lung; None
        where it was not audited.
    """

    border: Estimate | None
    is_border_seen: bool
    leaks: tuple[str, ...]
    shortcut: bool | None


def tested_elsewhere(arm: pathlib.Path, text: str, releases: Releases) -> External:
    """The models of an arm on an external set, without copies of what they have seen.

    Args:
      arm: the folder of its runs.
      text: of `Row.external`.

    Raises:
      InputError: the set is not there, or its labels mean nothing to the models.
    """
    name, _, part = text.partition(":")
    if name.startswith("@"):
        dataset, place = "image_folder/256", releases.tree(name[1:])
    else:
        dataset, place = name, releases.folder(name)
    workdirs = sorted(path.parent for path in arm.glob("*/results.json"))
    copies = arm / "external" / "matrix.json"
    if not copies.exists():
        with _written(arm / "external" / "log.txt"):
            asked = f"{dataset}@{place}:{part}"
            matrix.matrix(None, [str(workdirs[0])], copies.parent, asked)
    for workdir in workdirs:
        if not list(workdir.glob("evaluations/*.json")):
            with _written(workdir / "evaluations" / "log.txt"):
                evaluate.evaluate(None, workdir, f"{dataset}:{part}", str(place))
    file = next(workdirs[0].glob("evaluations/*.json")).with_suffix(".csv").name
    return measured.external(arm, text, file, _left_out(copies))


def _left_out(path: pathlib.Path) -> frozenset[str]:
    content = results_file.read(path, {}, missing=_AGAIN, damaged=_AGAIN)
    (run,) = content["runs"].values()
    (other,) = (found for name, found in run["sets"].items() if name != run["own"])
    return frozenset(name for names in other["left_out"].values() for name in names)


def audited(run: pathlib.Path, folder: pathlib.Path) -> Audit:
    """The audit of the films of a run; of its model what was done before.

    Args:
      run: a finished one.
      folder: of audits of data, which runs of the same films share.
    """
    path = _data_audit(run, folder)
    content = files.read_json(path, missing=_AGAIN, damaged=_AGAIN)
    (own, *_) = content["datasets"].values()
    found = own["without_a_lung"].get(_BORDER)
    border = Estimate.from_json(found["auroc"]) if found else None
    leaks = tuple(
        sorted({v["kind"] for v in content["verdicts"] if v["severity"] == "stop"})
    )
    seen = _CROP not in config_lib.from_json(run / "config.json").preprocess.eval
    return Audit(border, seen, leaks, _known(run))


def with_model(run: pathlib.Path, found: Audit, *, whole: bool) -> Audit:
    """The audit with that of the model, which is made where it is not there.

    whole: minutes; else only of what the model knows without a lung, in seconds.
    """
    folder = run / "audit"
    if _known(run) is None or (whole and not (folder / _MODEL_AUDIT).exists()):
        with _written(folder / "log.txt"):
            if whole:
                model_audit.audit(run, folder)
            else:
                made = [each._asdict() for each in model_audit.shortcuts(run)]
                text = json.dumps({"verdicts": made}, indent=1) + "\n"
                files.write_text(folder / _SHORTCUTS, text)
    return found._replace(shortcut=_known(run))


def _known(run: pathlib.Path) -> bool | None:
    """Whether the model keeps half on a border; None where it was not audited."""
    for name in (_MODEL_AUDIT, _SHORTCUTS):
        path = run / "audit" / name
        if path.exists():
            content: dict[str, Any] = files.read_json(
                path, missing=_AGAIN, damaged=_AGAIN
            )
            return any(each["severity"] == "stop" for each in content["verdicts"])
    return None


def _data_audit(run: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    config = config_lib.from_json(run / "config.json")
    whole = config_lib.to_dict(config)
    films = {k: v for k, v in whole["data"].items() if k not in ("size", "residency")}
    # Of the task only what its labels are: it decides nothing else about the films.
    labels = {k: v for k, v in whole["task"]["settings"].items() if k in _LABELS}
    text = json.dumps([films, whole["task"]["name"], labels], sort_keys=True)
    place = folder / hashlib.sha256(text.encode()).hexdigest()[:12]
    if not (place / "audit.json").exists():
        # A phantom lies in the workdir of its run.
        there = roles.data_dir(config.data, run)
        config.unlock().data.update(data_dir=there, phantom=0)
        with _written(place / "log.txt"):
            data_audit.of_config(config.lock(), place)
    return place / "audit.json"


@contextlib.contextmanager
def _written(log: pathlib.Path) -> Iterator[None]:
    """What is printed meanwhile goes to a file."""
    with files.explained(log):
        log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield
