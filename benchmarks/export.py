"""Exported graphs against torchvision's own: nodes, size, milliseconds of an image.

    python -m benchmarks.torch_onnx /tmp/torch resnet18 densenet121   # where torch is
    python -m benchmarks.export --torch=/tmp/torch [--models=resnet18] [--repeats=5]

Both have static batch 1, three channels, 224 pixels, 24 outputs and random weights, and
run in turns on one thread of ONNX Runtime. Prints the rows of RESULTS.md.
"""

from __future__ import annotations

import pathlib
import statistics
import time
from typing import Any

import numpy as np
from absl import flags

from tfds_builders.common import command

SIDE, OUTPUTS = 224, 24
CALLS = 10  # of which the fastest counts: the others were disturbed
_TORCH = flags.DEFINE_string("torch", "", "Folder of benchmarks.torch_onnx.")
_MODELS = flags.DEFINE_list(
    "models",
    ["resnet18", "resnet50", "densenet121", "mobilenet_v2", "efficientnet_b0"]
    + ["convnext_tiny", "vit_b16"],
    "Names in MODELS.",
)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Rounds, in which both take turns.")


def ours(name: str) -> tuple[bytes, dict[str, int], float]:
    """(file, nodes by operator, seconds to make it) of a model with random weights."""
    from cxr_jax.export.graph.convert import convert
    from cxr_jax.export.graph.onnx_file import to_onnx
    from cxr_jax.export.graph.simplify import simplify
    from cxr_jax.models import MODELS, init
    from cxr_jax.models.convolution import plain

    shape = (SIDE, SIDE, 3)
    model = MODELS[name](num_outputs=OUTPUTS)
    params, state = init.initialise(model, shape, 0)

    def traced(image):
        with plain():
            output = model.apply({"params": params, **state}, image, train=False)
        return (output.logits,)

    start = time.perf_counter()
    graph = convert(traced, {"image": (1, *shape)}, ("logits",))
    simplify(graph)
    made = to_onnx(graph, name).SerializeToString()
    return made, dict(graph.count()), time.perf_counter() - start


def session(model: bytes) -> Any:
    """On one thread, as a small machine or a browser without isolation has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model, options)


def fastest(opened: Any, image: np.ndarray) -> float:
    """Milliseconds of one call."""
    name, times = opened.get_inputs()[0].name, []
    for _ in range(CALLS):
        start = time.perf_counter()
        opened.run(None, {name: image})
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def row(name: str, theirs: pathlib.Path, repeats: int) -> str:
    """A row of the table."""
    import onnx

    made, nodes, seconds = ours(name)
    other = theirs.read_bytes()
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 3), np.float32)
    pair = (
        (session(made), image),
        (session(other), np.ascontiguousarray(image.transpose(0, 3, 1, 2))),
    )
    times = [[fastest(*each) for each in pair] for _ in range(repeats)]
    ratio = statistics.median(one / two for one, two in times)
    one, two = (statistics.median(column) for column in zip(*times, strict=True))
    count = len(onnx.load_from_string(other).graph.node)
    return (
        f"| {name} | {sum(nodes.values())} | {count} | {len(made) / 1e6:.1f} | "
        f"{len(other) / 1e6:.1f} | {one:.1f} | {two:.1f} | {ratio:.2f} | {seconds:.0f} |"
    )


def main(argv: list[str]) -> int:
    del argv
    print("| model | nodes | torch | MB | torch | ms | torch | ratio | s to make |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in _MODELS.value:
        theirs = pathlib.Path(_TORCH.value) / f"{name}.onnx"
        print(row(name, theirs, _REPEATS.value), flush=True)
    return 0


if __name__ == "__main__":
    command.run(main)
