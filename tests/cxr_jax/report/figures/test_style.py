"""Files of figures, as a browser and a reader need them."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pytest

from cxr_jax.report.figures import style
from cxr_jax.stats.estimate import Estimate

PAPER, NIGHT = "#ffffff", "#121212"
# Machado et al. 2009, table of severity 1, on linear RGB.
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour):
    """Linear RGB of '#rrggbb', IEC 61966-2-1."""
    value = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(light):
    xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ] @ np.clip(light, 0, 1)
    x, y, z = np.cbrt(xyz / np.array([0.9505, 1, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
    """The contrast of WCAG 2.2."""
    light = [0.2126, 0.7152, 0.0722] @ np.stack([linear(one), linear(other)], axis=1)
    return (light.max() + 0.05) / (light.min() + 0.05)


def figure(text="a", colour=style.BLUE):
    drawn, axes = style.new()
    axes.plot([0, 1, 2], [3, 1, 2], "o-", color=colour)
    axes.fill_between([0, 1], [1, 1], color=colour, alpha=style.FAINT)
    style.head(axes, text, "words & <more>")
    axes.set_xlabel("x", color=style.INK)
    return drawn


def ids(svg):
    found = [e.get("id") for e in ElementTree.fromstring(svg).iter() if e.get("id")]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("ground", [PAPER, NIGHT])
@pytest.mark.parametrize("colour", [style.BLUE, style.ORANGE])
def test_colours_are_visible_on_white_and_on_near_black(colour, ground):
    assert contrast(colour, ground) >= 3


def test_colours_are_distinct_for_the_colour_blind_and_in_grey():
    colours = [linear(c) for c in (style.BLUE, style.ORANGE, style.INK)]
    for one, other in itertools.combinations(colours, 2):
        assert abs(lab(one)[0] - lab(other)[0]) > 15
        for matrix in BLINDNESS.values():
            seen = [lab(np.array(matrix) @ c) for c in (one, other)]
            assert np.linalg.norm(seen[0] - seen[1]) > 30


def test_the_same_figure_gives_the_same_bytes():
    for write in (style.to_png, style.to_svg, lambda f: style.inline_svg(f, "n", "t")):
        one = figure()
        written = write(one)
        assert written == write(one) == write(figure())
        assert written != write(figure("b"))


def test_files_contain_neither_date_nor_creator():
    png, svg = style.to_png(figure()), style.to_svg(figure())
    assert png.startswith(b"\x89PNG") and b"tEXt" not in png and b"tIME" not in png
    assert b"metadata" not in svg and b"atplotlib" not in svg


def test_a_file_has_a_white_background_and_real_text():
    svg = style.to_svg(figure("Übersicht"))
    root = ElementTree.fromstring(svg)
    assert root.get("width") == "316.8pt" and root.get("font-family")
    texts = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
    assert {"Übersicht", "words & <more>", "x"} <= set(texts)
    assert svg.count(b"#ffffff") == 1


def test_digits_in_text_are_not_rounded():
    drawn, axes = style.new()
    axes.set_xticks([0.975, 1234.56789], ["0.975", "1234.56789"])
    style.words(axes, "0.1234 (0.0012 to 0.9876)")
    for svg in (style.to_svg(drawn).decode(), style.inline_svg(drawn, "a", "b")):
        assert {">0.975<", ">1234.56789<"} <= set(re.findall(r">[0-9.]+<", svg))
        assert ">0.1234 (0.0012 to 0.9876)<" in svg


def test_an_inline_figure_takes_colours_and_width_from_the_page():
    svg = style.inline_svg(figure(), "one", "A & B")
    root = ElementTree.fromstring(svg)
    assert svg.startswith("<svg") and not {"width", "height"} & set(root.attrib)
    assert root.get("viewBox") == "0 0 316.8 237.6" and root.get("role") == "img"
    title = root[0]
    assert title.text == "A & B" and title.get("id") == root.get("aria-labelledby")
    assert "<style" not in svg and "font-family" not in svg
    assert set(re.findall(r"[^ ]+ #[0-9a-f]{6}", svg)) == {
        f"var(--figure-blue, {style.BLUE}"
    }
    for element in root.iter():
        if element.tag.endswith("}text"):
            assert "fill: currentColor" in element.get("style")


def test_figures_of_a_page_share_no_ids_and_all_references_resolve():
    one, other = (style.inline_svg(figure(), n, "t") for n in ("a", "class b"))
    assert not ids(one) & ids(other)
    for name, svg in (("a", one), ("class-b", other), ("x", style.to_svg(figure()))):
        text = svg if isinstance(svg, str) else svg.decode()
        used = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
        assert used and set(used) <= ids(text)
        assert all(one.startswith(f"{name}-") for one in ids(text))


def test_figures_drawn_in_threads_are_the_same():
    def write(k):
        drawn = figure(str(k))
        return style.inline_svg(drawn, "n", "t"), style.to_png(drawn)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(4))) == [write(k) for k in range(4)]


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.934, 0.9, 0.961, 7), "0.93 (0.90 to 0.96)"),
        (Estimate(-0.5, -1.25, 0.25, 7), "\u22120.50 (\u22121.25 to 0.25)"),
        (Estimate(1.0, np.nan, np.nan, 7, "alike"), "1.00"),
        (Estimate(np.nan, np.nan, np.nan, 0, "no images"), "not defined"),
    ],
)
def test_estimates_as_text(estimate, text):
    assert style.shown(estimate) == text


def test_long_names_are_wrapped_or_cut():
    assert style.wrapped("Lung_Opacity", 9) == "Lung_\nOpacity"
    assert style.wrapped("Viral Pneumonia", 9) == "Viral\nPneumonia"
    assert style.wrapped("", 9) == ""
    assert style.shortened("https://example.org/chest", 11) == "https…chest"
    assert style.shortened("short", 11) == "short"
