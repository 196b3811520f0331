"""A bundle with a toy network, which is made in no time."""

import hashlib
import json
import shutil

import numpy as np
from toy_onnx import outputs, toy_onnx

from cxr_jax import web
from cxr_jax.gate.gate_file import to_json
from cxr_jax.predict import squares
from cxr_jax.predict.recipe import steps_from_json

SIDE = 64
STEPS = {
    "format": 1,
    "steps": [
        {"op": "read", "bits": 16, "polarity": "header"},
        {"op": "longest", "side": 256},
        {"op": "square", "side": SIDE},
        {"op": "unit"},
    ],
}


def recipe(task: str) -> dict:
    zones = task == "brixia"
    return {
        "format": 1,
        "made_by": "cxr_jax test",
        "name": f"toy {task}",
        "task": task,
        "classes": list("0123") if zones else ["Normal", "COVID"],
        "questions": list("ABCDEF") if zones else [""],
        "decision": {
            "thresholds": None if zones else [0.5, 0.4],
            "temperature": 1.3,
            "set_least": 0.12,
            "coverage": 0.9,
            **({"interval_factor": 1.9} if zones else {}),
        },
        "outputs": ["probs", "features", "heatmap"],
        "variants": {"float32": "model.onnx"},
        "input": {"name": "image", "shape": [1, SIDE, SIDE, 1]},
        "trained_on": "toys",
        "run_digest": "0" * 64,
    }


def write_bundle(folder, task: str, gate=None):
    """A bundle whose card is one sentence."""
    made = recipe(task)
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text(json.dumps(made))
    (folder / "preprocess.json").write_text(json.dumps(STEPS))
    groups, classes = len(made["questions"]), len(made["classes"])
    (folder / "model.onnx").write_bytes(toy_onnx(SIDE, groups, classes))
    (folder / "card.html").write_text(
        "<!doctype html><html lang=en><title>Card</title><style>p { color: navy }"
        "</style><p>A toy. For research only.</p>"
    )
    shutil.copytree(web.PAGE, folder / "web")
    if gate:
        (folder / "gate.json").write_text(json.dumps(to_json(gate)))
    write_sums(folder)
    return folder


def toy_features(films) -> np.ndarray:
    """Features [n, 64] of the toy network, of films as `read` gives them."""
    steps = steps_from_json("preprocess.json", STEPS)
    squares_ = [squares.square(film, steps)[..., 0] for film in films]
    return np.stack([outputs(each, 6, 4)[1] for each in squares_]).astype(np.float32)


def write_sums(folder):
    """SHA256SUMS of the files beside it."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))
