"""The page: an encapsulated PDF of one A4 sheet, drawn by matplotlib."""

from __future__ import annotations

import io
import textwrap

from matplotlib import rc_context
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from cxr_jax.predict.overlay import RESEARCH
from cxr_jax.serve.objects import codes, instance, wording
from cxr_jax.serve.objects.instance import Kind, Subject

KIND = Kind(
    "pdf", EncapsulatedPDFStorage, "DOC", 9003, "Page of a model, research only"
)
TITLE = "Chest radiograph: result of a model"
_A4 = (8.27, 11.69)  # inches
_LEFT, _RIGHT = 0.08, 0.92  # of the width
_INK, _GREY, _PAPER = "#1b1f24", "#57606a", "#ffc44d"
_LINE = 0.0165  # of the height
_WIDE = 100  # characters of a line


def make(subject: Subject) -> Dataset:
    """The page, in a data set."""
    made = instance.new(subject, KIND)
    content = page(subject)
    made.ConversionType = "WSD"
    made.AcquisitionDateTime = ""
    made.BurnedInAnnotation = subject.origin.burned_in
    made.RecognizableVisualFeatures = "NO"
    made.SourceInstanceSequence = [instance.reference(subject.origin)]
    made.DocumentTitle = f"{TITLE}, research only"
    made.VerificationFlag = "UNVERIFIED"
    made.ConceptNameCodeSequence = [codes.item(codes.TITLE)]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(content)
    made.EncapsulatedDocument = content + bytes(len(content) % 2)
    return made


def page(subject: Subject) -> bytes:
    """The page, the same bytes each time; it names no patient."""
    # Type 3: of type 42 only, fonts are cut to size by a program that takes a second.
    with rc_context({"pdf.fonttype": 3, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=_A4)
        FigureCanvasPdf(figure)
        _draw(figure, subject)
        buffer = io.BytesIO()
        made = {"Title": TITLE, "CreationDate": None, "Subject": RESEARCH}
        figure.savefig(buffer, format="pdf", metadata=made)
    return buffer.getvalue()


def _draw(figure: Figure, subject: Subject) -> None:
    figure.text(_LEFT, 0.945, TITLE, fontsize=17, color=_INK, weight="bold")
    box = Rectangle(
        (_LEFT, 0.895),
        _RIGHT - _LEFT,
        0.033,
        transform=figure.transFigure,
        color=_PAPER,
    )
    figure.add_artist(box)
    middle = (_LEFT + _RIGHT) / 2
    figure.text(
        middle, 0.9115, wording.NO_DIAGNOSIS, ha="center", va="center", fontsize=11
    )
    y = _picture(figure, subject)
    y = _table(figure, subject, y)
    remarks = wording.remarks(subject.result, subject.bundle)
    if wording.is_scored(subject.result):
        remarks.append(wording.COLOURS)
    for text in remarks:
        y = _paragraph(figure, text, y, _INK) - _LINE / 3
    _foot(figure, subject)


def _picture(figure: Figure, subject: Subject) -> float:
    """Draws the overlay; returns where it ends."""
    picture = subject.result.overlay
    assert picture is not None
    height, width = picture.shape[:2]
    wide = _RIGHT - _LEFT
    tall = wide * _A4[0] / _A4[1] * height / width
    scale = min(1.0, 0.52 / tall)
    wide, tall = wide * scale, tall * scale
    axes = figure.add_axes((0.5 - wide / 2, 0.88 - tall, wide, tall))
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()
    return 0.88 - tall - 2 * _LINE


def _table(figure: Figure, subject: Subject, y: float) -> float:
    if not wording.is_scored(subject.result):
        return y
    rows = wording.rows(subject.result, subject.bundle)
    half = -(-len(rows) // 2)
    for number, (name, value) in enumerate(rows):
        column, row = divmod(number, half)
        x = _LEFT + 0.44 * column
        at = y - _LINE * row
        figure.text(x, at, name, fontsize=10, color=_GREY)
        figure.text(x + 0.2, at, value, fontsize=10, color=_INK)
    return y - _LINE * (half + 1)


def _paragraph(figure: Figure, text: str, y: float, colour: str) -> float:
    for line in textwrap.wrap(text, _WIDE):
        figure.text(_LEFT, y, line, fontsize=9, color=colour)
        y -= _LINE
    return y


def _foot(figure: Figure, subject: Subject) -> None:
    bundle = subject.bundle
    lines = (
        f"Model: {wording.model(bundle)}; trained on {bundle.recipe.trained_on}",
        f"Run SHA-256 {bundle.recipe.run_digest}",
        f"Bundle SHA-256 {bundle.digest}",
        f"Film {subject.origin.sop}",
    )
    for number, line in enumerate(reversed(lines)):
        figure.text(_LEFT, 0.03 + 0.013 * number, line, fontsize=7.5, color=_GREY)
