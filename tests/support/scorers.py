"""A model that needs no training, and films for it."""

import pathlib
import time

import cv2
import numpy as np

from cxr_jax.predict.recipe import Decision, Preprocess, Recipe
from cxr_jax.predict.record import Outputs
from cxr_jax.predict.scoring import Scorer

DECISION = Decision(None, 1.2, 0.1, 1.5)


def made_recipe(task="brixia", **changes):
    zones = task == "brixia"
    return Recipe(
        name="model",
        task=task,
        classes=tuple("0123") if zones else ("Normal", "COVID"),
        questions=tuple("ABCDEF") if zones else ("",),
        decision=DECISION if zones else Decision((0.6, 0.4), 0.8, 0.3, None),
        preprocess=Preprocess(16, "header", 64, "stretch", 32),
        trained_on="brixia/512/1.0.0",
        run_digest="abc",
        made_by="cxr_jax",
    )._replace(**changes)


def network(images, questions=6, classes=4):
    """Probabilities of the grey levels of a film: others for each film."""
    parts = images.reshape(len(images), -1)[:, : questions * classes] + 0.1
    probs = parts.reshape(-1, questions, classes)
    probs = (probs / probs.sum(-1, keepdims=True)).astype(np.float32)
    heat = np.stack([cv2.resize(image[..., 0], (4, 4)) for image in images])
    return Outputs(probs, images.mean(axis=(1, 2)), heat)


def scorer(batch_size=4, seconds=0.0):
    def slow(images):
        time.sleep(seconds)
        return network(images)

    return Scorer(made_recipe(), slow, batch_size, None)


def write_film(path: pathlib.Path, seed: int, shape=(70, 60), dtype=np.uint8):
    highest = np.iinfo(dtype).max
    noise = np.random.default_rng(seed).integers(0, highest, shape, endpoint=True)
    noise = cv2.GaussianBlur(noise.astype(dtype), (9, 9), 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, noise)[1].tobytes())
    return path
