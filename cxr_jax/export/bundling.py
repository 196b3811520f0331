"""--mode=export: a bundle of a finished run, written completely or not at all."""

from __future__ import annotations

import glob
import io
import json
import os
import pathlib
import shutil
import zipfile
from typing import Any

import numpy as np

from cxr_jax import web
from cxr_jax.bundle import digests, loaded
from cxr_jax.bundle.network import INPUT, Network
from cxr_jax.devices.terminal import say
from cxr_jax.export import card, films, golden, tracing, variants, verification
from cxr_jax.export.graph import onnx_file
from cxr_jax.export.graph.nodes import Graph
from cxr_jax.gate import gate_file
from cxr_jax.gate.fitted import Gate
from cxr_jax.predict import gate_of_run, of_run
from cxr_jax.predict import recipe as recipes
from cxr_jax.predict.of_run import Opened
from cxr_jax.weights.optional import package
from tfds_builders.common import files
from tfds_builders.common.errors import InputError

LICENCE = "LICENSE"
# In a probability, from float32: a variant that loses more is another model.
MOST_LOST = 0.2


def export(workdir: pathlib.Path, output: pathlib.Path, *, with_gate: bool) -> int:
    """Writes the bundle `output` of the run `workdir`.

    with_gate: films are to be judged before they are scored, by a gate that is fitted
      to the films of the training, which must be there.

    Returns:
      The exit code.

    Raises:
      InputError: the run cannot be exported, `output` exists, the packages of the extra
        are missing, or the exported model is not the run's.
    """
    if output.exists() or output.is_symlink():
        raise InputError(
            output, "exists already", "name another folder, or remove this one"
        )
    if loaded.is_bundle(workdir):
        raise InputError(
            workdir, "is a bundle already", "give the workdir of the run it was made of"
        )
    _require(output)
    opened = of_run.open_run(workdir)
    gate = gate_of_run.of_run(opened) if with_gate else None
    write(opened, gate, output)
    say(f"\nbundle: {output}")
    return 0


def write(opened: Opened, gate: Gate | None, output: pathlib.Path) -> None:
    """The bundle of a run that is open; `output` is there when it is complete.

    Raises:
      InputError: the packages of the extra are missing, the model cannot be exported,
        or the exported model is not the run's.
    """
    _require(output)
    new = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    with files.explained(output):
        _remove_left(output)
        try:
            new.mkdir(parents=True)
            _fill(new, opened, gate)
            _finish(new)
            loaded.load(new)
            new.rename(output)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _require(output: pathlib.Path) -> None:
    for name in ("onnx", "onnxruntime"):
        package(name, "export", output)


def _remove_left(output: pathlib.Path) -> None:
    """Removes what an export that was killed has left of the same bundle."""
    for path in output.parent.glob(f".{glob.escape(output.name)}.*.tmp"):
        number = path.name.split(".")[-2]
        if not number.isdigit():
            continue
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except PermissionError:  # it is at work, as another user
            continue


def _fill(folder: pathlib.Path, opened: Opened, gate: Gate | None) -> None:
    function = tracing.in_float32(opened)
    graph = tracing.to_graph(opened, function)
    say(f"graph  {_counted(graph)}")
    shown = films.of_run(opened)
    made = _models(folder, opened, graph, shown.calibrated)
    networks = {
        key: Network((folder / name).read_bytes(), folder / name)
        for key, name in made.items()
    }
    wanted = verification.reference(function, shown.verified)
    where = folder / made["float32"]
    gaps = verification.verify(networks["float32"], wanted, shown, where)
    checked = _verification(opened, folder, made, networks, shown, gaps)
    for variant in _leave_out(checked):
        (folder / made.pop(variant)).unlink()
        del networks[variant]
    _write_json(folder / digests.VERIFICATION, checked)
    for variant, row in checked["variants"].items():
        say(_summary(variant, row, gaps["probs"]))
    _write_json(folder / digests.BUNDLE, _described(opened, networks, made))
    steps = recipes.steps_to_json(opened.recipe.preprocess)
    _write_json(folder / digests.PREPROCESS, steps)
    if gate is not None:
        _write_json(folder / digests.GATE, gate_file.to_json(gate))
    _write_weights(folder / digests.WEIGHTS, graph)
    golden.write(folder / "golden", opened.recipe, networks["float32"], gate)
    sections = card.sections(opened, checked)
    files.write_text(folder / "card.md", card.to_markdown(opened, sections))
    files.write_text(folder / digests.CARD, card.to_html(opened, sections))
    files.write_text(folder / LICENCE, _licence())
    shutil.copytree(web.PAGE, folder / "web")


def _models(folder, opened: Opened, graph: Graph, images) -> dict[str, str]:
    """Writes the three; {variant: file}."""
    notes = {"task": opened.recipe.task, "run_digest": opened.recipe.run_digest}
    name = opened.recipe.name
    made = {
        "float32": onnx_file.to_onnx(graph, name, notes),
        "float16": onnx_file.to_onnx(variants.float16(graph), name, notes),
    }
    made["int8"] = variants.int8(made["float32"], images)
    for variant, model in made.items():
        data = model.SerializeToString(deterministic=True)
        files.write_bytes(folder / digests.MODELS[variant], data)
    return {variant: digests.MODELS[variant] for variant in made}


def _verification(opened, folder, made, networks, shown, gaps) -> dict[str, Any]:
    rows = verification.losses(opened, networks, shown)
    for variant, network_ in networks.items():
        rows[variant]["bytes"] = (folder / made[variant]).stat().st_size
        time = verification.latency(network_, shown.verified[0])
        rows[variant]["latency_ms"] = round(time, 2)
    return {
        "format": recipes.FORMAT,
        "films": len(shown.verified),
        "source": shown.source,
        "bound": verification.BOUND,
        "differences": gaps,
        "variants": rows,
        "left_out": {},
    }


def _leave_out(checked: dict[str, Any]) -> list[str]:
    """Takes out the variants that say something else than float32; says which."""
    left = [k for k, row in checked["variants"].items() if row["probs"] > MOST_LOST]
    for variant in left:
        gap = checked["variants"].pop(variant)["probs"]
        checked["left_out"][variant] = gap
        say(
            f"{variant:8} left out: a probability differs from float32 by {gap:.2g} "
            f"(at most {MOST_LOST})"
        )
    return left


def _summary(variant: str, row: dict[str, Any], gap: float) -> str:
    """A line for the terminal; gap: of a probability, of float32 from the run."""
    base, most = ("the run", gap) if variant == "float32" else ("float32", row["probs"])
    return (
        f"{variant:8} {row['bytes'] / 1e6:6.1f} MB {row['latency_ms']:7.1f} ms a film"
        f"   probabilities differ from {base} by at most {most:.2g}"
    )


def _described(opened: Opened, networks, made: dict[str, str]) -> dict[str, Any]:
    first = networks["float32"]
    side = first.side
    return recipes.to_json(opened.recipe) | {
        "outputs": list(first.shapes),
        "variants": made,
        "input": {"name": INPUT, "shape": [1, side, side, 1]},
    }


def _write_weights(path: pathlib.Path, graph: Graph) -> None:
    """An .npz of the graph's constants: the same arrays, the same bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(graph.constants.items()):
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue())
    files.write_bytes(path, held.getvalue())


def _finish(folder: pathlib.Path) -> None:
    """Writes SHA256SUMS of all files, as `sha256sum -c` reads it."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    lines = [f"{files.sha256(p)}  {p.relative_to(folder).as_posix()}\n" for p in paths]
    files.write_text(folder / digests.SUMS, "".join(lines))


def _counted(graph: Graph) -> str:
    found = graph.count()
    return f"{sum(found.values())} nodes: " + ", ".join(
        f"{count} {op}" for op, count in found.most_common(6)
    )


def _write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    files.write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _licence() -> str:
    return (
        "The program that made this bundle, and the page in web/, are under the Apache "
        "License 2.0:\nhttps://www.apache.org/licenses/LICENSE-2.0\n\nThe weights were "
        "learned from the data that card.md names; the terms of these data apply to "
        "them.\n"
    )
