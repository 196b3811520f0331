"""Draws docs/architecture.svg: python docs/make/architecture.py.

The layers are those that tests/test_layers.py checks; what a box says is here.
"""

import ast
from pathlib import Path
from xml.sax.saxutils import escape

DOCS = Path(__file__).resolve().parents[1]
SAYS = {
    "launch": "sweep, search, collect: many runs, here or on a cluster",
    "api": "from Python: build, load, predict, metrics",
    "main": "the command line: one function for each mode",
    "report": "one page: figures, tables, warnings, checklists",
    "audits": "leaks, shortcuts",
    "gate": "what may pass",
    "predict": "scores films",
    "bundle": "needs no JAX",
    "export": "graph, card",
    "web": "the page",
    "view": "serves it",
    "serve": "DICOM node",
    "train": "the loop, its steps, validation, members",
    "evaluation": "evaluate, compare, ensemble, external",
    "runs": "the folder of a run: checkpoints, predictions, results, provenance",
    "config": "durations, arguments, JSON",
    "config_check": "the one place that checks it",
    "experiment": "config in; model, task and steps out",
    "devices": "mesh, processes",
    "data": "splits, batches by index, cache",
    "weights": "PyTorch, Keras, .npz",
    "metrics": "METRICS: whole splits, with intervals",
    "tasks": "TASKS: targets, loss, predictions",
    "models": "MODELS: one family per file",
    "ops": "OPS: preprocessing on the device",
    "stats": "intervals over patients, DeLong",
}
SMALL = ("rng", "trees", "state", "losses", "optim")  # share a box with steps
GROUPS = {  # the highest layer of each, as in the test
    10: ("commands", "#7a4fb5"),
    8: ("what reads finished runs", "#b5484f"),
    6: ("a run", "#b06a10"),
    3: ("data and devices", "#2f7d4f"),
    2: ("pure functions: run inside jit, or on NumPy arrays", "#2563a8"),
}
BUILDERS = (
    ("build", "the command: release in, dataset out"),
    ("one folder per dataset", "tables, labels, patients of a release"),
    ("phantom", "synthetic releases in the same formats"),
    ("common/build", "workers, rejected files, records"),
    ("common/dicom", "file, pixels, display, polarity"),
    ("common/duplicates", "near-copies, by image content"),
)
WIDTH, LEFT, RIGHT, TOP, BAND, GAP = 1090, 46, 790, 54, 50, 8
INK, QUIET, PAPER = "#1c2733", "#52606d", "#ffffff"


def layers() -> list[list[str]]:
    """What each layer holds, from the test, without what is not there yet."""
    tree = ast.parse((DOCS.parent / "tests/test_layers.py").read_text())
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    home = DOCS.parent / "cxr_jax"
    there = {path.stem for path in home.iterdir()} | {"launch"}
    return [[name for name in layer.split() if name in there] for layer in names]


def text(x, y, words, size=13, colour=INK, bold=False, anchor="start") -> str:
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}"'
        f'{weight} text-anchor="{anchor}">{escape(words)}</text>'
    )


def box(x, y, width, height, name, words, colour) -> list[str]:
    return [
        (
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" '
            f'rx="6" fill="{colour}" fill-opacity="0.1" stroke="{colour}"/>'
        ),
        text(x + 10, y + 20, name, 14, bold=True),
        text(x + 10, y + 37, words, 11, QUIET),
    ]


def band(names: list[str], y: float, colour: str) -> list[str]:
    """The boxes of one layer, as wide as their words need."""
    boxes = [(name, SAYS[name]) for name in names if name not in ("steps", *SMALL)]
    if "steps" in names:
        boxes.insert(0, ("steps", ", ".join(n for n in names if n in SMALL)))
    room = RIGHT - LEFT - GAP * (len(boxes) - 1)
    needs = [max(8.2 * len(name), 5.6 * len(words)) + 20 for name, words in boxes]
    spare = (room - sum(needs)) / len(boxes)
    parts, x = [], LEFT
    for (name, words), need in zip(boxes, needs, strict=True):
        parts += box(x, y, need + spare, BAND - GAP, name, words, colour)
        x += need + spare + GAP
    return parts


def builders(top: float, bottom: float) -> list[str]:
    """The tower beside the layers, which imports nothing of them."""
    x, colour = RIGHT + 60, "#4b5563"
    width = WIDTH - x - 16
    parts = [
        (
            f'<rect x="{x}" y="{top:.0f}" width="{width}" height="{bottom - top:.0f}" '
            f'rx="8" fill="none" stroke="{colour}" stroke-dasharray="5 4"/>'
        ),
        text(x + 12, top + 22, "tfds_builders", 15, bold=True),
        text(x + 12, top + 39, "needs neither cxr_jax nor TensorFlow", 11, QUIET),
    ]
    step = (bottom - top - 52) / len(BUILDERS)
    for k, (name, words) in enumerate(BUILDERS):
        y = top + 50 + k * step
        parts += box(x + 10, y, width - 20, BAND - GAP, name, words, colour)
    return parts


def main() -> None:
    found = layers()
    bottom = TOP + BAND * len(found) - GAP
    height = bottom + 52
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="Helvetica, Arial, sans-serif">'
        ),
        (
            "<title>The layers of cxr_jax: a file imports from its own layer or from one "
            "below it</title>"
        ),
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="{PAPER}"/>',
        text(16, 30, "cxr_jax", 18, bold=True),
        text(92, 30, "A file imports from its own layer or from one below it.", 13),
    ]
    colour = ""
    for number in range(len(found), 0, -1):
        y = TOP + BAND * (len(found) - number)
        if number in GROUPS:
            words, colour = GROUPS[number]
        parts += [
            f'<circle cx="24" cy="{y + 21}" r="12" fill="{colour}"/>',
            text(24, y + 26, str(number), 12, PAPER, True, "middle"),
            *band(found[number - 1], y, colour),
        ]
    third = TOP + BAND * (len(found) - 3)
    parts += [*builders(TOP, third + BAND - GAP), *arrow(third + 21)]
    x = LEFT
    for words, colour in GROUPS.values():
        parts += [
            f'<circle cx="{x + 6}" cy="{height - 24}" r="6" fill="{colour}"/>',
            text(x + 18, height - 20, words, 12, QUIET),
        ]
        x += 44 + 6.2 * len(words)
    parts.append("</svg>")
    (DOCS / "architecture.svg").write_text("\n".join(parts) + "\n")


def arrow(y: float) -> list[str]:
    """From the builders to the data of layer 3."""
    return [
        f'<path d="M{RIGHT + 60} {y} H{RIGHT + 12}" stroke="{INK}" stroke-width="1.6"/>',
        f'<path d="M{RIGHT + 4} {y} l10 -5 v10 z" fill="{INK}"/>',
        text(RIGHT + 60, y + 42, "a prepared dataset (array_record files)", 12),
    ]


if __name__ == "__main__":
    main()
