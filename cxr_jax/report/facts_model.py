"""Checklist facts about the model, its training and its code."""

from __future__ import annotations

import shlex
from typing import Any

from cxr_jax.report.answers import ANSWERED, PARTLY, Answer, command, listed
from cxr_jax.report.material import Material
from cxr_jax.runs.text_table import count
from cxr_jax.stats.estimate import number
from tfds_builders.common import files, places


def model(material: Material) -> Answer:
    config, sizes = material.config, material.results["sizes"]
    settings = [f"{key} {config.model[key]}" for key in config.model if key != "name"]
    text = (
        f"{config.model.name} ({', '.join(settings)}), {sizes['parameters']:,} "
        f"parameters; input: {config.preprocess.eval}; {material.task.num_outputs} "
        f"outputs for the task {config.task.name}. config.json and the code define every "
        "layer."
    )
    return Answer(ANSWERED, text, "provenance")


def code(material: Material) -> Answer:
    """Answered if all of the training ran on one revision without changes."""
    starts = [material.provenance, *material.provenance.get("resumed", [])]
    git = [(each["git"]["revision"], each["git"]["changed"]) for each in starts]
    revision, changed = git[0]
    if revision is None:
        return Answer(PARTLY, "Code: the revision was not recorded.", "provenance")
    state = "without uncommitted changes"
    if len(set(git)) > 1:
        state = "but later parts of the training ran on other code"
    elif changed:
        state = "with uncommitted changes: publish the code that was run"
    elif changed is None:
        state = "possibly with uncommitted changes"
    status = ANSWERED if changed is False and len(set(git)) == 1 else PARTLY
    return Answer(status, f"Code: revision {revision}, {state}.", "provenance")


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
        text += f" Resumed {times} with other code, packages or settings."
    return Answer(ANSWERED, text, "provenance")


def initial_weights(material: Material) -> Answer:
    config = material.config
    if not config.init_from:
        text = f"Random, from seed {config.seed}; no pretrained weights."
        return Answer(ANSWERED, text, "provenance")
    path = places.expanded(config.init_from)
    text = (
        f"{path.name}; parameters matching {config.init_excuse!r} that did not fit "
        f"were drawn from seed {config.seed}."
    )
    if path.is_file():
        text += (
            f" The file now has SHA-256 {files.sha256(path)}; the run did not record "
            "it, so the file may have changed since."
        )
    elif path.is_dir():
        text += " It is the workdir of another run: see its report."
    else:
        text += " The file is no longer there."
    text += " State which data these weights were trained on."
    return Answer(PARTLY, text, "provenance")


def training(material: Material) -> Answer:
    config, optim = material.config, material.config.optim
    clip = (
        f"gradients clipped at {optim.clip_norm:g}"
        if optim.clip_norm
        else "no clipping"
    )
    text = (
        f"{optim.name}, learning rate {optim.lr:g} ({optim.schedule}, warm-up "
        f"{optim.warmup}), weight decay {optim.weight_decay:g}, {clip}, {config.total} "
        f"in batches of {config.batch_size}, loss {config.task.loss}, seed "
        f"{config.seed}. Augmentation: {config.preprocess.train}."
    )
    more: dict[str, Any] = {
        "layers at other learning rates": list(optim.layers),
        "batch norms frozen": optim.frozen_norms,
        "moving average of the weights": optim.ema_decay,
        "settings of the optimiser": dict(optim.settings),
        "settings of the task": dict(config.task.settings),
        "labels corrupted on purpose": config.task.label_noise,
        "patience of early stopping, in evaluations": config.stop_patience,
        "patience of the learning rate, in evaluations": config.plateau.patience,
    }
    known = [f"{name} {value!r}" for name, value in more.items() if value]
    text += f" Also: {'; '.join(known)}." if known else ""
    return Answer(ANSWERED, text, "learning")


def selection(material: Material) -> Answer:
    best = material.results["best"]
    text = (
        f"Evaluated on val (every {material.config.every.eval}); the checkpoint "
        f"of step {best['step']:,} was best: {best['metric']} {number(best['value'])}."
    )
    return Answer(ANSWERED, text, "learning")


def ensemble(material: Material) -> Answer:
    text = f"None: a single model from one training, seed {material.config.seed}."
    if material.config.optim.ema_decay:
        text += (
            f" Its weights are a moving average ({material.config.optim.ema_decay:g})."
        )
    return Answer(ANSWERED, text, "provenance")


def records(material: Material) -> Answer:
    text = (
        "config.json, provenance.json, the prediction for every image and every metric "
        f"are in the workdir; the command was: {shlex.join(material.provenance['command'])}."
    )
    return Answer(ANSWERED, text, "provenance")


def predicting(material: Material) -> Answer:
    step = material.results["best"]["step"]
    text = (
        f"With the checkpoint of step {step:,} in checkpoints/; every prediction is in "
        "predictions/. For other images: "
        + command(material, "--mode=eval --workdir=RUN --eval_on=DATASET:SPLIT")
    )
    return Answer(ANSWERED, text, "provenance")


def recalibration(material: Material) -> Answer:
    fitted = material.results["best"].get("decision", {}).get("confidence", {})
    text = "The model was not changed for any evaluation. "
    if not fitted:
        return Answer(ANSWERED, text + "Nothing was recalibrated.", "provenance")
    text += (
        "Metrics are also reported for its probabilities at a temperature of "
        f"{fitted['temperature']:.3f}"
    )
    if "vector" in fitted:
        text += ", and with a scale and a shift for each class"
    return Answer(ANSWERED, text + ", fitted on val.", "performance")


def imbalance(material: Material) -> Answer:
    task = material.config.task
    done = ["classes weighted by their inverse frequency in train"]
    done *= bool(task.settings.get("balanced"))
    if task.loss == "focal":
        gamma = task.settings.get("focal_gamma", 2.0)
        done.append(f"focal loss, gamma {gamma:g}")
    if not done:
        return Answer(ANSWERED, "Nothing was done about class imbalance.", "provenance")
    text = f"In the loss: {listed(done)}; no class was oversampled. Explain why."
    return Answer(PARTLY, text, "provenance")


def output(material: Material) -> Answer:
    found = material.task.probabilities
    if found is None:
        return Answer(PARTLY, f"{material.task.reference}. Describe the output.", "")
    if found.is_graded:
        text = (
            f"For each of {len(found.questions)} zones, the probability of every score "
            f"0 to {len(found.classes) - 1}; the score is their mean, rounded for agreement; "
            "the global score is the sum over zones."
        )
        return Answer(ANSWERED, text, "headline")
    thresholds = material.results["best"]["decision"]["thresholds"]
    shown = [f"{c} {t:.3f}" for c, t in zip(found.classes, thresholds, strict=True)]
    rule = "the most probable class is predicted"
    if found.is_binary:  # one threshold, of the positive class
        shown, rule = (
            shown[1:],
            f"{found.classes[1]} is predicted at or above the threshold",
        )
    text = (
        f"The probability of each of {listed(found.classes)}; {rule}. Thresholds that "
        f"maximise sensitivity + specificity on val: {', '.join(shown)}. Explain why."
    )
    return Answer(PARTLY, text, "headline")
