"""The figures of agreement against the formulas."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.patches import Rectangle

from cxr_jax.report.figures import scores as figures
from cxr_jax.report.figures import style
from cxr_jax.rng import generator
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common.zones import ZONES

NOTHING = Estimate(np.nan, np.nan, np.nan, 0, "no images")


def scores(n, seed=0):
    g = generator(seed, "scores")
    target = g.integers(0, 19, n).astype(float)
    return target, np.clip(target + g.normal(0.5, 2, n), 0, 18)


def around(value, room=0.5):
    return Estimate(value, value - room, value + room, 9)


def limits(target, expected):
    error = expected - target
    spread = 1.96 * error.std()
    middle = error.mean()
    return [around(x) for x in (middle, middle - spread, middle + spread)]


def dots(axes):
    (line,) = (one for one in axes.lines if one.get_marker() == "o")
    return line.get_xdata(), line.get_ydata()


def contrast(colours):
    """The contrast of WCAG 2.2 between two rows of RGB."""
    value = np.asarray(colours)
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    light = light @ [0.2126, 0.7152, 0.0722]
    return (light.max() + 0.05) / (light.min() + 0.05)


def test_every_image_is_a_dot_moved_by_at_most_a_quarter():
    target, expected = scores(300)
    (axes,) = figures.scatter(target, expected).axes
    x, y = dots(axes)
    np.testing.assert_array_equal(y, expected)
    assert np.abs(x - target).max() <= 0.25
    again = dots(figures.scatter(target, expected).axes[0])[0]
    np.testing.assert_array_equal(x, again)
    # Of equal images no two lie on each other.
    x, _ = dots(figures.scatter(np.full(50, 9.0), np.full(50, 9.0)).axes[0])
    assert np.diff(np.sort(x)).min() > 0.002


def test_the_grey_band_shows_the_95_percent_limits_of_the_second_reader():
    target, expected = scores(40)
    reader = target + generator(1, "reader").integers(-2, 2, 40)
    reader[:5] = np.nan
    (axes,) = figures.scatter(target, expected, reader).axes
    off = (reader - target)[5:]
    corners = axes.collections[0].get_paths()[0].vertices
    at_zero = corners[corners[:, 0] == 0, 1]
    found = at_zero.min(), at_zero.max()
    expected = off.mean() - 1.96 * off.std(), off.mean() + 1.96 * off.std()
    np.testing.assert_allclose(found, expected)
    for unknown in (None, np.full(40, np.nan)):
        (axes,) = figures.scatter(target, scores(40)[1], unknown).axes
        assert not axes.collections


def test_cells_count_every_image_of_a_large_set():
    target, expected = scores(5000)
    (axes,) = figures.scatter(target, expected).axes
    cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    columns, rows = np.rint(target), np.rint(expected)
    counts = dict.fromkeys(zip(columns, rows, strict=True), 0)
    for place in zip(columns, rows, strict=True):
        counts[place] += 1
    assert len(cells) == len(counts)
    most = max(counts.values())
    for cell in cells:
        count = counts[cell.get_x() + 0.5, cell.get_y() + 0.5]
        assert cell.get_alpha() == pytest.approx(
            0.1 + 0.85 * (count / most) ** 0.5, abs=0.006
        )
    assert f"cells: up to {most:,} images" in [text.get_text() for text in axes.texts]


def test_bland_altman_lines_match_the_formula():
    target, expected = scores(60)
    bias, low, high = limits(target, expected)
    (axes,) = figures.bland_altman(target, expected, bias, low, high).axes
    error = expected - target
    x, y = dots(axes)
    np.testing.assert_allclose(x, (target + expected) / 2)
    np.testing.assert_allclose(y, error)
    lines = [one for one in axes.lines if to_hex(one.get_color()) == style.ORANGE]
    found = sorted(one.get_ydata()[0] for one in lines)
    middle, spread = error.mean(), 1.96 * error.std()
    np.testing.assert_allclose(found, [middle - spread, middle, middle + spread])
    texts = "\n".join(text.get_text() for text in axes.texts)
    for value in (middle - spread, middle, middle + spread):
        shown = f"\n{value:.1f}\n({value - 0.5:.1f} to {value + 0.5:.1f})"
        assert shown.replace("-", "\u2212") in texts


def test_labels_of_close_lines_do_not_overlap():
    same = [around(x, 0.01) for x in (0.0, -0.02, 0.02)]
    (axes,) = figures.bland_altman([3, 9, 15], [3, 9.01, 15], *same).axes
    heights = [
        t.xy[1] for t in axes.texts if "limit" in t.get_text() or "bias" in str(t)
    ]
    assert len(heights) == 3 and np.diff(np.sort(heights)).min() >= 0.3
    assert max(np.abs(heights)) < axes.get_ylim()[1]


def test_a_confusion_matrix_shows_counts_and_shares_of_rows():
    cells = np.array([[8, 2, 0], [1, 4, 5], [0, 0, 0]])
    names = ["COVID", "Lung_Opacity", "Viral Pneumonia"]
    (axes,) = figures.confusion(cells, names).axes
    texts = {(t.get_position()[0], round(t.get_position()[1])): [] for t in axes.texts}
    for text in axes.texts:
        x, y = text.get_position()
        texts[x, round(y)].append(text.get_text())
    assert texts[0, 0] == ["8", "80 %"] and texts[1, 0] == ["2", "20 %"]
    assert texts[2, 1] == ["5", "50 %"] and texts[0, 2] == ["0", "0 %"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["COVID", "Lung_Opacity", "Viral\nPneumonia"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("reference", "predicted")
    alphas = [patch.get_alpha() for patch in axes.patches]
    assert alphas[0] == pytest.approx(0.6 * 0.8) and alphas[-1] == 0


@pytest.mark.parametrize(
    ("paper", "ink"), [("#ffffff", style.INK), ("#121212", "#dddddd")]
)
def test_text_is_legible_on_every_cell(paper, ink):
    """On the page the ink is the text colour: dark on white, light on near-black."""
    (axes,) = figures.confusion(np.diag([7, 9]), ["a", "b"]).axes
    strongest = max(patch.get_alpha() for patch in axes.patches)
    ground, colour = (np.array(to_rgba(c)[:3]) for c in (paper, style.BLUE))
    cell = strongest * colour + (1 - strongest) * ground
    assert contrast([cell, to_rgba(ink)[:3]]) >= 4.5


def test_many_long_column_names_do_not_overlap():
    names = [f"{k} with pneumothorax and effusion" for k in range(6)]
    (axes,) = figures.confusion(np.eye(6, dtype=int), names).axes
    labels = axes.get_xticklabels()
    assert len({label.get_text() for label in labels}) == 6
    assert all(label.get_rotation() == 35 for label in labels)


def test_zones_are_laid_out_as_in_the_image():
    estimates = {zone: around(0.1 * k + 0.6, 0.1) for k, zone in enumerate(ZONES)}
    constant = {zone: around(1.0, 0.1) for zone in ZONES}
    figure = figures.zones(estimates, constant)
    figure.draw_without_rendering()
    place = {axes.texts[0].get_text(): axes.get_position() for axes in figure.axes}
    assert sorted(place) == list(ZONES)
    for right, left in ("AD", "BE", "CF"):
        assert place[right].x1 < place[left].x0
        assert place[right].y0 == pytest.approx(place[left].y0)
    assert place["A"].y0 > place["B"].y1 and place["B"].y0 > place["C"].y1
    for axes in figure.axes:
        zone = axes.texts[0].get_text()
        marks = {
            to_hex(m.get_markerfacecolor()): m
            for m in axes.lines
            if m.get_marker() in "oD"
        }
        assert marks[style.BLUE].get_xdata()[0] == estimates[zone].value
        assert marks[style.ORANGE].get_xdata()[0] == 1.0


@pytest.mark.parametrize("n", [0, 1])
def test_odd_cases_are_drawn(n):
    target, expected = np.full(n, 9.0), np.full(n, 9.0)
    drawn = [
        figures.scatter(target, expected, target),
        figures.bland_altman(target, expected, around(0.0), NOTHING, NOTHING),
        figures.bland_altman(target, expected, *[Estimate(0.0, np.nan, np.nan, n)] * 3),
        figures.confusion([[n]], ["only"]),
        figures.confusion(np.zeros((2, 2), int), ["a", "b"]),
        figures.zones(dict.fromkeys(ZONES, NOTHING)),
    ]
    for figure in drawn:
        svg = style.inline_svg(figure, "a", "b")
        ElementTree.fromstring(svg)
        assert not re.search(r"\bnan\b", svg, re.IGNORECASE)
        assert not set(re.findall(r"#[0-9a-f]{6}", svg)) - {style.BLUE, style.ORANGE}


@pytest.mark.parametrize("n", [1500, 5000])
def test_large_sets_stay_small(n):
    target, _ = scores(n)
    expected = generator(0, "anywhere").uniform(0, 18, n)
    for figure in (
        figures.scatter(target, expected, target),
        figures.bland_altman(target, expected, *limits(target, expected)),
    ):
        assert len(style.to_svg(figure)) < 150_000
