"""The model card (Mitchell et al. 2019, arXiv 1810.03993), from the files of the run."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import jinja2

from cxr_jax.audits import verdicts
from cxr_jax.metrics.registry import metric
from cxr_jax.predict.of_run import Opened
from cxr_jax.predict.recipe import BRIXIA
from cxr_jax.runs import forms, provenance, results, results_file
from tfds_builders import DATASETS
from tfds_builders.common import card as cards
from tfds_builders.common import files
from tfds_builders.common.forms import RESTORE

NOT_A_DEVICE = (
    "For research only. This is not a medical device: it was not tested or approved for "
    "the care of patients, and no finding of it may decide about a patient."
)
_AUDITS = ("audit.json", "model_audit.json")


class Section(NamedTuple):
    """A part of the card: sentences, then a table of a head and rows, or ()."""

    title: str
    sentences: tuple[str, ...]
    table: tuple[tuple[str, ...], ...] = ()


def sections(opened: Opened, verification: dict[str, Any]) -> list[Section]:
    """What is known of the run, in the order of the card.

    Raises:
      InputError: a file of the run is damaged.
    """
    workdir = opened.workdir
    content = results_file.read(workdir / "results.json", forms.RESULTS)
    return [
        _use(opened),
        _data(opened, content),
        _model(opened, content),
        _results(opened, content),
        _elsewhere(workdir),
        _audits(workdir),
        _limits(opened, content),
        _export(opened, verification),
    ]


def to_markdown(opened: Opened, found: list[Section]) -> str:
    """card.md."""
    lines = [f"# {opened.recipe.name}", "", f"**{NOT_A_DEVICE}**"]
    for part in found:
        lines += ["", f"## {part.title}", "\n\n".join(part.sentences)]
        if part.table:
            head, *rows = part.table
            lines += ["", _row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_html(opened: Opened, found: list[Section]) -> str:
    """card.html: one file that needs no script and no network."""
    text = (pathlib.Path(__file__).parent / "card.html").read_text(encoding="utf-8")
    template = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True
    ).from_string(text)
    return template.render(
        name=opened.recipe.name, warning=NOT_A_DEVICE, sections=found
    )


def _use(opened: Opened) -> Section:
    if opened.recipe.task == BRIXIA:
        what = (
            "Grades six lung zones of a frontal chest radiograph from 0 to 3, as the "
            "Brixia score does (Borghesi and Maroldi 2020, doi 10.1007/s11547-020-"
            "01200-3), and adds them to a global score from 0 to 18."
        )
    else:
        classes = ", ".join(opened.recipe.classes)
        what = f"Sorts frontal chest radiographs into the classes {classes}."
    return Section(
        "Intended use",
        (
            what,
            (
                "Meant for research on such films: for comparing methods, for studies that "
                "look back, for teaching. Not meant for diagnosis or triage, for films of "
                "another kind (lateral views, CT, children where none were trained on), or "
                "for any decision about a patient."
            ),
        ),
    )


def _data(opened: Opened, content: dict[str, Any]) -> Section:
    dataset = content["dataset"]
    name = dataset.split("/")[0]
    sentences = [f"Trained and tested on {opened.recipe.trained_on}."]
    if content["synthetic"]:
        sentences = [
            (
                f"SYNTHETIC phantoms in the format of {dataset}, drawn by a program: the "
                "figures say nothing about patients."
            )
        ]
    elif name in DATASETS:
        known = cards.load(name)
        sentences += [known.summary, f"Licence: {known.licence}", known.readers]
        sentences += [f"Reference standard: {known.reference_standard}", known.split]
    rows = [
        (role, *(f"{count:,} {unit}" for unit, count in content["sizes"][role].items()))
        for role in ("train", "val", "test")
    ]
    width = max(map(len, rows))
    head = ("split", "images", "of")[:width]
    return Section(
        "Data",
        tuple(filter(None, sentences)),
        (head, *(row + ("",) * (width - len(row)) for row in rows)),
    )


def _model(opened: Opened, content: dict[str, Any]) -> Section:
    config, best = opened.exp.config, content["best"]
    rows = [
        (
            "architecture",
            f"{config.model.name}, {content['sizes']['parameters']:,} parameters",
        ),
        ("input", f"{config.data.size} x {config.data.size}, {config.data.square}"),
        ("preprocessing", config.preprocess.eval),
        ("begun with", str(config.init_from or "random weights")),
        ("checkpoint", f"step {best['step']}, where {best['metric']} was best"),
        ("code", _code(opened.workdir)),
    ]
    return Section("Model", (), (("", ""), *rows))


def _code(workdir: pathlib.Path) -> str:
    git = provenance.read(workdir / "provenance.json").get("git", {})
    revision = git.get("revision") or "not known"
    return revision + (" (with changes)" if git.get("changed") else "")


def _results(opened: Opened, content: dict[str, Any]) -> Section:
    found = opened.measured or results.estimates(content, "test/")
    unit = next((k for k in content["sizes"]["test"] if k != "images"), "images")
    names = [name for name in opened.exp.task.headline if name in found]
    names += [
        name
        for name, each in found.items()
        if name not in names and metric(name).shown == "terminal" and each.is_defined
    ]
    rows = [
        (metric(name).label, found[name].text(), str(found[name].n)) for name in names
    ]
    intervals = f"With 95 % intervals by bootstrap over {unit}, where there are any."
    title, sentences = "Results on test", (intervals,)
    if opened.measured:
        title = "Results out of fold"
        sentences = (
            (
                "Each film was scored by a model of the same kind that never saw its "
                "patient. The model of this file was trained on all of them, those of "
                "val and test too."
            ),
            intervals,
        )
    return Section(title, sentences, (("metric", "value", "n"), *rows))


def _elsewhere(workdir: pathlib.Path) -> Section:
    rows = []
    for path in sorted((workdir / "evaluations").glob("*.json")):
        content = results_file.read(path, forms.EVALUATION)
        for name, each in results.estimates(content).items():
            if metric(name).shown == "terminal" and each.is_defined:
                row = (path.stem, metric(name).label, each.text(), str(each.n))
                rows.append(row)
    if not rows:
        text = (
            "None was made: how the model does on films of other hospitals is unknown."
        )
        return Section("External tests", (text,))
    return Section("External tests", (), (("data", "metric", "value", "n"), *rows))


def _audits(workdir: pathlib.Path) -> Section:
    rows = []
    for name in _AUDITS:
        for path in (workdir / name, workdir / "audit" / name):
            if path.exists():
                content = files.read_json(path, missing=RESTORE)
                found = verdicts.from_json(content, path)
                rows += [(each.severity, verdicts.words(each)) for each in found]
                break
    if not rows:
        text = (
            "Neither data nor model were audited for leakage and shortcuts "
            "(--mode=audit): that is to be done before the figures are believed."
        )
        return Section("Audit", (text,))
    return Section("Audit", (), (("severity", "verdict"), *rows))


def _limits(opened: Opened, content: dict[str, Any]) -> Section:
    name = content["dataset"].split("/")[0]
    sentences = []
    if not content["synthetic"] and name in DATASETS:
        known = cards.load(name)
        sentences += [*known.limitations, f"Acquisition: {known.acquisition}"]
    sentences += [
        _settled(opened),
        (
            "The heat map shows where the score comes from in the model, not where disease "
            "is."
        ),
    ]
    is_graded = opened.recipe.task == BRIXIA
    if is_graded and opened.recipe.decision.interval_factor is None:
        sentences.append(
            "The run was trained by a version that settled no interval of the global "
            "score."
        )
    return Section("Limits", tuple(filter(None, sentences)))


def _settled(opened: Opened) -> str:
    if opened.recipe.decision.set_least > 0:
        return (
            f"Probabilities, sets and intervals were settled on {opened.settled_on}; on "
            "others they need not hold."
        )
    return (
        "Val had too few patients to settle anything: thresholds are 0.5, the confidence "
        "is not calibrated, and prediction sets and intervals hold every value."
    )


def _export(opened: Opened, verification: dict[str, Any]) -> Section:
    gaps = ", ".join(f"{k} {v:.1e}" for k, v in verification["differences"].items())
    rows = []
    for variant, row in verification["variants"].items():
        metrics = [row[key] for key in (opened.exp.task.main,) if key in row]
        rows.append(
            (
                variant,
                f"{row['bytes'] / 1e6:.1f} MB",
                f"{row['latency_ms']:.1f} ms",
                f"{row['probs']:.2g}",
                f"{metrics[0]:.4f}" if metrics else "not measured",
            )
        )
    main = metric(opened.exp.task.main).label
    return Section(
        "Export",
        (
            (
                f"Largest differences between this file and the run on "
                f"{verification['films']} films ({verification['source']}): {gaps}."
            ),
            (
                f"Below, the largest difference of a probability from float32, and {main} "
                "of the films compared."
            ),
        ),
        (("variant", "size", "a film", "difference", main), *rows),
    )
