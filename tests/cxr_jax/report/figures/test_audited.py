"""Learning curves, audits of a model and the flow diagram show the right values."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cxr_jax.report.figures import audited, flow, learning, style
from cxr_jax.stats.estimate import Estimate

NOTHING = Estimate(np.nan, np.nan, np.nan, 30, "one class")
WHOLE = Estimate(0.9, 0.85, 0.95, 200)
HISTORY = [
    {"step": 2, "train/loss": 1.5},
    {"step": 4, "train/loss": None},
    {"step": 5, "val/loss": 1.2, "val/auroc": 0.7},
    {"step": 6, "train/loss": 1.1},
    {"step": 10, "val/loss": float("nan"), "val/auroc": None},
    {"step": 15, "val/loss": 0.9, "val/auroc": 0.8},
]


def texts(axes):
    return [text.get_text().replace("\xa0", " ") for text in axes.texts]


def as_json(value, lo=None, hi=None):
    return {"value": value, "lo": lo, "hi": hi, "n": 30}


def check(figure):
    svg = style.inline_svg(figure, "a", "b")
    ElementTree.fromstring(svg)
    assert not re.search(r"\bnan\b", svg, re.IGNORECASE)
    assert not set(re.findall(r"#[0-9a-f]{6}", svg)) - {style.BLUE, style.ORANGE}
    return svg


def panels(*arguments):
    return [figure.axes[0] for figure in learning.curves(*arguments)]


def test_learning_curves_have_gaps_where_values_are_missing():
    loss, chosen = panels(HISTORY, "val/auroc", 15)
    train, _, val, *_ = loss.lines
    np.testing.assert_array_equal(train.get_xdata(), [2, 4, 6])
    np.testing.assert_array_equal(train.get_ydata(), [1.5, np.nan, 1.1])
    np.testing.assert_array_equal(val.get_ydata(), [1.2, np.nan, 0.9])
    # What lies between two gaps has no line, and is a dot.
    alone = loss.lines[1]
    np.testing.assert_array_equal(alone.get_xdata(), [2, 6])
    assert {"train", "val"} <= set(texts(loss))
    np.testing.assert_array_equal(chosen.lines[0].get_ydata(), [0.7, np.nan, 0.8])


@pytest.mark.parametrize("metric", ["val/auroc", "auroc"])
def test_the_chosen_checkpoint_is_marked(metric):
    _, chosen = panels(HISTORY, metric, 15)
    (mark,) = (m for m in chosen.lines if m.get_markerfacecolor() == "none")
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (15, 0.8)
    assert texts(chosen) == ["chosen: step 15, 0.800"]
    dashed = [m for m in chosen.lines if m.is_dashed()]
    assert dashed[0].get_xdata()[0] == 15


@pytest.mark.parametrize("history", [[], HISTORY[1:2], HISTORY[:1], HISTORY[2:3]])
def test_short_histories_are_drawn(history):
    for figure in learning.curves(history, "auroc", 5):
        check(figure)
    drawn = panels(history, "auroc", 5)
    empty = [axes for axes in drawn if "nothing was recorded" in texts(axes)]
    assert bool(empty) == (history != HISTORY[2:3])


ROWS = [
    ("sex", "F", 90, Estimate(0.92, 0.88, 0.96, 90)),
    ("sex", "M", 110, Estimate(0.88, np.nan, np.nan, 110)),
    ("source", "https://example.org/" + "x" * 60, 30, NOTHING),
]


def test_groups_are_listed_below_their_attribute_with_intervals():
    (axes,) = audited.forest(ROWS, WHOLE, "auroc").axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:3] == ["sex", "F", "M"] and labels[3] == "source"
    assert len(labels[4]) <= 24
    bars = [
        m for m in axes.lines if len(m.get_xdata()) == 2 and m.get_marker() == "None"
    ]
    bars = [m for m in bars if to_hex(m.get_color()) == style.BLUE]
    assert [(*m.get_xdata(), *m.get_ydata()) for m in bars] == [(0.88, 0.96, 1, 1)]
    marks = [m for m in axes.lines if m.get_marker() == "o"]
    assert [(m.get_xdata()[0], m.get_ydata()[0]) for m in marks] == [
        (0.92, 1),
        (0.88, 2),
    ]
    assert [m.get_markerfacecolor() == "none" for m in marks] == [False, True]
    assert {"not defined", "images", "90", "110", "30"} <= set(texts(axes))
    assert any("0.900 (0.850 to 0.950)" in text for text in texts(axes))


def test_sixty_groups_or_none_are_drawn():
    rows = [(f"attribute {k // 6}", f"{k}", k, WHOLE) for k in range(60)]
    figure = audited.forest(rows, WHOLE, "auroc")
    assert figure.get_figheight() > 12 and len(check(figure)) < 150_000
    check(audited.forest([], NOTHING, "auroc"))


def test_alterations_are_small_multiples_on_one_scale():
    found = [as_json(0.9, 0.8, 0.95), as_json(0.7, 0.6, 0.8), as_json(None)]
    altered = {
        what: {"unit": "degrees", "strengths": [2, 5, 10], "figure": found}
        for what in ("rotation", "blur", "noise")
    }
    figure = audited.strengths(json.loads(json.dumps(altered)), as_json(0.9), "auroc")
    assert [axes.texts[0].get_text() for axes in figure.axes] == list(altered)
    for axes in figure.axes:
        assert [t.get_text() for t in axes.get_xticklabels()] == ["2", "5", "10"]
        assert axes.get_ylim() == figure.axes[0].get_ylim()
        marks = [m for m in axes.lines if m.get_marker() == "o"]
        assert [m.get_ydata()[0] for m in marks] == [0.9, 0.7]
        assert axes.get_ylim()[0] < 0.6
    check(figure)


def test_hidden_images_are_shown_between_chance_and_the_whole():
    content = {
        "border only": {"figure": as_json(0.6, 0.5, 0.7)},
        "nothing": {"figure": as_json(None)},
    }
    (axes,) = audited.hidden(content, as_json(0.9, 0.85, 0.95), 0.5, "auroc").axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["whole image", "border only", "nothing"]
    (chance,) = (m for m in axes.lines if m.is_dashed())
    assert chance.get_xdata()[0] == 0.5
    marks = [m for m in axes.lines if m.get_marker() == "o"]
    assert [m.get_xdata()[0] for m in marks] == [0.9, 0.6]
    assert "not defined" in texts(axes)
    check(axes.figure)
    check(audited.hidden({}, as_json(None), 0.5, "auroc"))


PARTS = {
    "train": {"images": 1062, "patients": 800, "Lung_Opacity": 7},
    "val": {"patients": 10, "images": 12},
    "test": {"images": 17, "patients": 17, "mean score": 7.29},
}


def test_the_flow_shows_what_was_left_out_and_what_is_in_each_split():
    excluded = [("files that cannot be read", 3), ("copies left out", 0)]
    figure = flow.diagram("brixia/512", excluded, PARTS, "patients")
    said = texts(figure.axes[0])
    assert said[:2] == ["release", "brixia/512"]
    assert said[said.index("prepared") + 1] == "1,091 images"
    assert "left out 3 files that cannot be read" in " ".join(" ".join(said).split())
    assert not any("copies" in text for text in said)
    train = said[said.index("train") :]
    assert train[1:4] == ["1,062 images", "800 patients", "Lung Opacity: 7"]
    val = said[said.index("val") :]
    assert val[1:3] == ["12 images", "10 patients"]
    assert "mean score: 7.29" in said
    check(figure)


def test_the_flow_says_that_nothing_was_left_out():
    for excluded in ([], [("copies", 0)]):
        figure = flow.diagram("brixia", excluded, PARTS, "patients")
        assert "nothing was left out" in texts(figure.axes[0])
    figure = flow.diagram("brixia", None, PARTS, "patients")
    assert "left out: not known" in texts(figure.axes[0])


def test_text_of_the_flow_stays_in_its_box():
    parts = {
        name: {"images": 123456, "near-duplicate groups": 123456} for name in PARTS
    }
    long = [("images whose patient the file patients.csv does not name", 1234567)]
    figure = flow.diagram(long[0][0], long * 9, parts, "near-duplicate groups")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in axes.patches if patch.get_alpha()]
    for text in axes.texts:
        if text.get_text():
            found = text.get_window_extent()
            assert any(
                box.x0 < found.x0 and found.x1 < box.x1 and box.y0 < found.y0 < box.y1
                for box in boxes
            ), text.get_text()
    check(figure)
