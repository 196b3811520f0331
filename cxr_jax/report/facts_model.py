"""What is known of the model, how it was trained and with which code."""

from __future__ import annotations

import pathlib

from cxr_jax.audits.text_table import count
from cxr_jax.report import table
from cxr_jax.report.checklist import (
    Answer,
)
from cxr_jax.report.facts_data import licence
from cxr_jax.report.material import Material
from tfds_builders.common import files


def model(material: Material) -> Answer:
    config, sizes = material.config, material.results["sizes"]
    settings = [f"{key} {config.model[key]}" for key in config.model if key != "name"]
    text = (
        f"{config.model.name} ({', '.join(settings)}), {sizes['parameters']:,} "
        f"parameters; what it sees: {config.preprocess.eval}; "
        f"{material.task.num_outputs} outputs for the task {config.task.name}. "
        "config.json and the code define every layer"
    )
    if _is_known(material):
        return Answer("answered", f"{text}: {code(material)}.", "provenance")
    text += f", but {code(material)}: give the code that was run."
    return Answer("partly", text, "provenance")


def code(material: Material) -> str:
    """'revision 0123, no file differed from it', or what is not known of it."""
    git = material.provenance["git"]
    if git["revision"] is None:
        return "the revision of the code was not noted"
    text = f"revision {git['revision']}, "
    if _is_known(material):
        return text + "no file differed from it"
    differed = {True: "files differed from it", None: "whether files differed is open"}
    return text + differed.get(git["changed"], "later parts of it ran on other code")


def _is_known(material: Material) -> bool:
    """All of the training ran on one revision without changes."""
    starts = [material.provenance, *material.provenance.get("resumed", [])]
    revisions = {(each["git"]["revision"], each["git"]["changed"]) for each in starts}
    ((revision, changed), *others) = revisions
    return revision is not None and changed is False and not others


def software(material: Material) -> Answer:
    found = material.provenance
    packages = [f"{name} {v}" for name, v in found["packages"].items() if v]
    device = found["device"]
    text = (
        f"Python {found['python']}, {', '.join(packages)}; on {device['count']} x "
        f"{device['kind']} ({device['platform']}, {device['processor']})."
    )
    if again := found.get("resumed"):
        times = count(len(again), "times")
        text += f" Begun anew {times} on other code, packages or settings."
    return Answer("answered", text, "provenance")


def initial_weights(material: Material) -> Answer:
    config = material.config
    if not config.init_from:
        text = (
            f"All drawn at random, from seed {config.seed}; no weights from elsewhere."
        )
        return Answer("answered", text, "provenance")
    path = pathlib.Path(config.init_from).expanduser()
    text = (
        f"{path.name}, but for what {config.init_excuse!r} finds, which was drawn from "
        f"seed {config.seed} where it did not fit."
    )
    if path.is_file():
        text += (
            f" The file has SHA-256 {files.sha256(path)} now; the run noted none, so "
            "it is the same if nobody changed the file."
        )
    elif path.is_dir():
        text += " It is the workdir of another run, which has a report of its own."
    else:
        text += " It is no longer there."
    text += " Say on which data they were trained."
    return Answer("partly", text, "provenance")


def training(material: Material) -> Answer:
    config, optim = material.config, material.config.optim
    settings = config.task.settings
    text = (
        f"{optim.name}, rate {optim.lr:g} ({optim.schedule}, warm-up {optim.warmup}), "
        f"weight decay {optim.weight_decay:g}, gradient clipped at {optim.clip_norm:g} "
        f"(0: not), {config.total} in batches of {config.batch_size}, loss "
        f"{config.task.loss}, seed {config.seed}. Augmentation: "
        f"{config.preprocess.train}."
    )
    more = {
        "layers at other rates": list(optim.layers),
        "batch norms frozen": optim.frozen_norms,
        "average of weights": optim.ema_decay,
        "label smoothing": settings.get("label_smoothing"),
        "classes weighed by the inverse of their frequency": settings.get("balanced"),
        "settings of the optimiser": dict(optim.settings),
        "share of the absolute error": settings.get("mae_share", 0)
        * (config.task.loss == "ce_mae"),
        "share of Dice": settings.get("dice_share", 0)
        * (config.task.loss == "dice_bce"),
        "gamma of the focal loss": settings.get("focal_gamma", 0)
        * (config.task.loss == "focal"),
        "labels made wrong on purpose": config.task.label_noise,
        "early stop after evaluations": config.stop_patience,
        "rate reduced after evaluations": config.plateau.patience,
    }
    told = [f"{name} {value!r}" for name, value in more.items() if value]
    text += f" Besides: {'; '.join(told)}." if told else ""
    return Answer("answered", text, "learning")


def selection(material: Material) -> Answer:
    best = material.results["best"]
    text = (
        f"Of the evaluations on val, every {material.config.every.eval}, the "
        f"checkpoint of step {best['step']} was best: {best['metric']} "
        f"{table.number(best['value'])}. Say whether this run was chosen among others, "
        "and by what."
    )
    return Answer("partly", text, "learning")


def ensemble(material: Material) -> Answer:
    text = f"None: one model of one training, seed {material.config.seed}."
    if material.config.optim.ema_decay:
        text += (
            f" Its weights are a moving average ({material.config.optim.ema_decay:g})."
        )
    return Answer("answered", text, "provenance")


def details(material: Material) -> Answer:
    text = (
        "config.json, provenance.json, the predictions and every figure are in the "
        f"workdir; the command was: {' '.join(material.provenance['command'])}. Say "
        "where the protocol is, or that there was none."
    )
    return Answer("partly", text, "provenance")


def availability(material: Material) -> Answer:
    text = f"Code: {code(material)}. Data: {licence(material)} "
    return Answer(
        "partly", text + "Say where code and weights can be had.", "provenance"
    )
