"""Synthetic films with what the model says of them, for others to compare with."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from cxr_jax.bundle.network import Network
from cxr_jax.export import films
from cxr_jax.gate.fitted import Gate
from cxr_jax.gate.judge import judge
from cxr_jax.predict import record, squares
from cxr_jax.predict.recipe import Recipe
from tfds_builders.common import files, images


def write(
    folder: pathlib.Path, recipe: Recipe, network: Network, gate: Gate | None
) -> None:
    """Writes 0.png .. 7.png and golden.json: [{file, probs, record, gate}]."""
    folder.mkdir()
    rows = []
    for number, film in enumerate(films.phantoms(films.GOLDEN, recipe.preprocess.bits)):
        name = f"{number}.png"
        files.write_bytes(folder / name, images.encode_png(film))
        # Read back: as anyone reads it who compares.
        pixels = squares.read(folder / name, recipe.preprocess).pixels
        rows.append({"file": name, **_said(recipe, network, gate, pixels, name)})
    text = json.dumps(rows, indent=1, allow_nan=False)
    files.write_text(folder / "golden.json", text + "\n")


def _said(recipe: Recipe, network: Network, gate, pixels, name: str) -> dict[str, Any]:
    outputs = network(squares.square(pixels, recipe.preprocess)[None])
    probs, findings, said = outputs.probs[0], (), record.OFF
    if gate is not None:
        verdict = judge(gate, pixels, outputs.features[0])
        findings = verdict.findings
        said = record.PASSED if verdict.passed else record.WARNED
    made = record.record(
        recipe,
        name,
        name.removesuffix(".png"),
        probs,
        gate=said,
        gate_reasons=record.reasons(findings),
    )
    return {
        "probs": probs.tolist(),
        "record": {
            key: value if isinstance(value, str) else value.item()
            for key, value in made.items()
        },
        "gate": [each._asdict() for each in findings],
    }
