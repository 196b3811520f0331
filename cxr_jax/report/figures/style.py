"""The look of the figures, and their files: PNG, SVG, and SVG inside the page.

A figure has no background, two colours and one ink; fainter parts use alpha. So it is
legible on white and on near-black, and on the page the ink has the colour of the text.
Only `matplotlib.figure.Figure` is used, never pyplot, which keeps global state.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
import threading

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from cxr_jax.stats.estimate import Estimate

# Blue and orange can be told apart with every kind of colour blindness (Wong 2011, doi
# 10.1038/nmeth.1618, and the matrices of Machado et al. 2009, doi 10.1109/TVCG.2009.113).
# Their lightness L* is 43 and 60, so that they differ in grey too; both are 3 : 1 or
# better against white and against #121212, as WCAG 2.2 requires of lines and dots.
BLUE, ORANGE = "#2468b0", "#d97706"
# Of text, axes and reference lines, and nothing else; `currentColor` on the page. Not
# black, which the SVG writer leaves out.
INK = "#1b1f24"
# The page may set brighter ones for dark mode: --figure-blue, --figure-orange.
_ON_PAGE = {
    INK: "currentColor",
    BLUE: f"var(--figure-blue, {BLUE})",
    ORANGE: f"var(--figure-orange, {ORANGE})",
}

SIZE, SMALL = 10, 9  # of type, in points
FAINT, SOFT = 0.2, 0.7  # alpha of areas, and of secondary text
THIN, THICK = 0.7, 1.6  # of lines, in points
# Letters of a panel's name, where it is alone and where there are two columns.
_ALONE, _IN_COLUMN = 40, 18
WIDTH, HEIGHT = 4.4, 3.3  # inches: fits a small screen of 330 pixels
_DPI = 160
_FONTS = "DejaVu Sans, Verdana, Arial, sans-serif"

# Settings of matplotlib that no argument takes. They apply to the whole process, so
# figures are written one at a time.
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cxr_jax",
    "text.parse_math": False,
}
_WRITING = threading.Lock()


def new(width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """A figure of one panel; inches."""
    figure, panels = grid(1, 1, width, height)
    return figure, panels[0]


def grid(
    rows: int, columns: int, width: float, height: float, **shares
) -> tuple[Figure, list[Axes]]:
    """A figure of rows * columns panels, row by row; inches.

    shares: `sharex`, `sharey`, `height_ratios` and `width_ratios` of Figure.subplots.
    """
    figure = Figure((width, height), layout="constrained", facecolor="none")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05, wspace=0.04, hspace=0.04)
    panels = figure.subplots(rows, columns, squeeze=False, **shares).ravel().tolist()
    for axes in panels:
        _thin(axes)
    return figure, panels


def panels(count: int, height: float = 2.15) -> tuple[Figure, list[Axes]]:
    """One panel, or small multiples in two columns, which fit a narrow screen.

    height: of a row of small multiples, in inches.
    """
    if count == 1:
        figure, axes = new()
        return figure, [axes]
    rows = -(-count // 2)
    figure, found = grid(rows, 2, WIDTH, rows * height)
    for axes in found[count:]:
        axes.remove()
    return figure, found[:count]


def label_edges(found: list[Axes], x: str, y: str) -> None:
    """Labels the axes of small multiples in two columns, once per row and column."""
    for k, axes in enumerate(found):
        if k + 2 >= len(found):
            axes.set_xlabel(x, fontsize=SIZE, color=INK)
        if k % 2 == 0:
            axes.set_ylabel(y, fontsize=SIZE, color=INK)


def head(axes: Axes, name: str, words: str = "") -> None:
    """Writes the name of a panel in bold above it, and words below the name.

    A name that is wider than the panel would lie over that of the next.
    """
    offset = 5 + (SMALL + 3) * bool(words)
    figure = axes.get_figure(root=True)
    room = _ALONE if figure is None or len(figure.axes) == 1 else _IN_COLUMN
    _above(axes, shortened(name, room), offset, SIZE, weight="bold")
    if words:
        _above(axes, words, 4, SMALL, alpha=SOFT)


def _above(axes: Axes, text, points: float, size: float, left=0.0, **how) -> None:
    axes.annotate(
        text, (0, 1), (left, points), xycoords="axes fraction",
        textcoords="offset points", fontsize=size, color=INK, ha="left", va="bottom",
        annotation_clip=False, **how,
    )  # fmt: skip


def write(axes: Axes, x: float, y: float, text: str, **how) -> Text:
    """Writes text at data coordinates; `how` as for Axes.text."""
    how = {"fontsize": SMALL, "color": INK, **how}
    return axes.text(x, y, text, **how)


def words(axes: Axes, text: str, left: float = 0) -> None:
    """Writes words above a panel, `left` points from its left edge."""
    _above(axes, text, 5, SMALL, left, alpha=SOFT)


def words_over_all(axes: Axes, text: str) -> None:
    """The same from the left edge of the figure, for panels with long row names."""
    axes.annotate(
        text, (0, 1), (4, 7), xycoords=("figure fraction", "axes fraction"),
        textcoords="offset points", fontsize=SMALL, color=INK, alpha=SOFT, va="bottom",
        annotation_clip=False,
    )  # fmt: skip


def beside(axes: Axes, height: float, text: str, **how) -> None:
    """Writes words to the right of a panel, at a height in data coordinates."""
    axes.annotate(
        text, (1, height), (4, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", fontsize=SMALL, color=INK, va="center",
        annotation_clip=False, **{"alpha": SOFT, **how},
    )  # fmt: skip


def note(axes: Axes, text: str) -> None:
    """Writes in the middle of a panel why nothing is drawn."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, fontsize=SMALL, color=INK,
        alpha=SOFT, ha="center", va="center",
    )  # fmt: skip


def shown(estimate: Estimate, digits: int = 2) -> str:
    """'0.93 (0.89 to 0.96)' with a true minus sign, without a reason."""
    text = estimate.text(digits) if estimate.is_defined else "not defined"
    return text.replace("-", "\N{MINUS SIGN}")


def shortened(text: str, length: int) -> str:
    """Keeps both ends of a text that is longer than `length` characters."""
    if len(text) <= length:
        return text
    kept = length - 1
    return text[: -(-kept // 2)] + "…" + text[len(text) - kept // 2 :]


def wrapped(text: str, length: int) -> str:
    """Wraps at `length` characters, also after '_'; longer words are cut."""
    spaced = re.sub(r"_(?=\w)", "_ ", text)
    lines = textwrap.wrap(spaced, length, break_long_words=False) or [text]
    return "\n".join(shortened(line.replace("_ ", "_"), length) for line in lines)


def to_png(figure: Figure) -> bytes:
    """The figure on white at 160 dots an inch, the same bytes every time."""
    return _save(figure, "png", facecolor="white", metadata={"Software": None})


def to_svg(figure: Figure) -> bytes:
    """The figure on white as a file of its own; text stays text."""
    root, body = _parts(_save(figure, "svg", facecolor="white"))
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{root["width"]}" height="{root["height"]}" '
        f'viewBox="{root["viewBox"]}" font-family="{_FONTS}" stroke-linejoin="round">'
    )
    text = f'<?xml version="1.0" encoding="utf-8"?>\n{opening}{_named(body, "x")}'
    return text.encode("utf-8")


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """The figure for use inside a page: full width, in the colours of the page.

    name: of the figure, unique in the page; all ids begin with it.
    title: for screen readers.
    """
    name = re.sub(r"[^\w-]", "-", name)
    root, body = _parts(_save(figure, "svg", facecolor="none"))
    body = _named(body, name).replace("xlink:href", "href")
    for colour, on_page in _ON_PAGE.items():
        body = body.replace(colour, on_page)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{root["viewBox"]}" '
        f'role="img" aria-labelledby="{name}-title" style="width:100%;height:auto" '
        f'stroke-linejoin="round"><title id="{name}-title">{html.escape(title)}'
        f"</title>{body}"
    )


def _save(figure: Figure, kind: str, facecolor: str, metadata=None) -> bytes:
    """What matplotlib writes, without the date or its own name."""
    if kind == "svg":
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    for text in figure.findobj(
        Text
    ):  # a dollar sign in a name does not start a formula
        text.set_parse_math(False)
    target = io.BytesIO()
    with _WRITING, matplotlib.rc_context(_SETTINGS):
        figure.savefig(
            target, format=kind, dpi=_DPI, facecolor=facecolor, metadata=metadata
        )
    return target.getvalue()


def _parts(svg: bytes) -> tuple[dict[str, str], str]:
    """The attributes of the root, and everything after its opening tag.

    Removes a style that would apply to the whole page, font lists (the root has one),
    white space, and digits beyond a hundredth of a point.
    """
    text = svg.decode("utf-8")
    opening = re.search(r"<svg [^>]*>", text)
    body = text[opening.end() :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = body.replace("stroke: #000000; stroke-opacity: 0", "stroke: none")
    body = re.sub(r"\s*\n\s*", "\n", body)
    body = re.sub(r"<[^>]*>", _rounded, body)
    body = re.sub(r"(?:<use [^>]*/>\n?){2,}", _shared, body)
    return dict(re.findall(r'([\w:]+)="([^"]*)"', opening.group())), body


def _rounded(tag: re.Match) -> str:
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag.group())


def _shared(marks: re.Match) -> str:
    """Writes the style that many marks share once, around them."""
    looks = set(re.findall(r' style="([^"]*)"', marks.group()))
    # The opacity of a group would not add up where marks overlap.
    if len(looks) != 1 or re.search(r"(?<!-)opacity", *looks):
        return marks.group()
    (look,) = looks
    plain = marks.group().replace(f' style="{look}"', "")
    return f'<g style="{look}">\n{plain}</g>\n'


def _named(body: str, name: str) -> str:
    """Renames ids that are referred to to name-1, name-2, ...; drops the others."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    found = [old for old in re.findall(r'\bid="([^"]*)"', body) if old in used]
    names = {old: f"{name}-{k}" for k, old in enumerate(dict.fromkeys(found), 1)}

    def as_id(match: re.Match) -> str:
        new = names.get(match.group(1))
        return f' id="{new}"' if new else ""

    body = re.sub(r'\s\bid="([^"]*)"', as_id, body)
    return re.sub(
        r'(href="#|url\(#)([^")]+)',
        lambda m: m.group(1) + names.get(m.group(2), m.group(2)),
        body,
    )


def _thin(axes: Axes) -> None:
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(linewidth=THIN, color=INK)
    axes.tick_params(
        which="both", length=3, width=THIN, color=INK, labelcolor=INK, labelsize=SMALL
    )
