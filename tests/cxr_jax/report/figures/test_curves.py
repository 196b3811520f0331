"""The curves against scikit-learn with the same weights."""

import re
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from cxr_jax.report.figures import curves, points, style
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap, patients, probability
from cxr_jax.stats.estimate import Estimate


def cases(n=150, seed=0, decimals=2, name="COVID"):
    """Rounded probabilities, so that there are ties; two images per patient."""
    g = generator(seed, "curves")
    positive = g.random(n) < 0.3
    odds = g.normal(0, 1.2, n) + 1.5 * positive - 1
    probs = np.round(1 / (1 + np.exp(-odds)), decimals)
    counts = bootstrap.weights(np.arange(n) // 2, 60, seed)
    return curves.Curve(name, positive, probs, 0.4, Estimate(0.8, 0.7, 0.9, n)), counts


def line(axes):
    """The thick blue one."""
    (found,) = (
        one
        for one in axes.lines
        if to_hex(one.get_color()) == style.BLUE and one.get_lw() == style.THICK
    )
    return found.get_xdata(), found.get_ydata()


def filled(axes):
    """Lower and upper edge of the band, [G] each."""
    (area,) = axes.collections
    corners = area.get_paths()[0].vertices
    x = np.unique(corners[:, 0])
    edges = [[corners[corners[:, 0] == at, 1]] for at in x]
    return x, np.array([np.min(e) for e in edges]), np.array([np.max(e) for e in edges])


def test_roc_matches_scikit_learn():
    one, counts = cases()
    (axes,) = curves.roc([one], counts).axes
    x, y, _ = sk.roc_curve(one.positive, one.probs, drop_intermediate=False)
    drawn_x, drawn_y = line(axes)
    # All of its points lie on the drawn line, whose corners are among them.
    along = np.interp(x + y, drawn_x + drawn_y, drawn_x)
    np.testing.assert_allclose(along, x, atol=1e-12)
    points_of = {(round(a, 9), round(b, 9)) for a, b in zip(x, y, strict=True)}
    drawn = {(round(a, 9), round(b, 9)) for a, b in zip(drawn_x, drawn_y, strict=True)}
    assert drawn < points_of and len(drawn) == len(drawn_x)


def test_the_roc_band_matches_the_curves_of_all_resamples():
    one, counts = cases()
    (axes,) = curves.roc([one], counts).axes
    drawn = []
    for row in counts[1:]:
        x, y, _ = sk.roc_curve(
            one.positive, one.probs, sample_weight=row, drop_intermediate=False
        )
        drawn.append(np.interp(np.linspace(0, 1, 101), x, y))
    x, low, high = filled(axes)
    np.testing.assert_allclose(x, np.linspace(0, 1, 101))
    expected = np.quantile(drawn, (0.025, 0.975), axis=0)
    np.testing.assert_allclose((low, high), expected, atol=1e-9)


def test_the_operating_point_is_at_sensitivity_and_specificity():
    one, counts = cases()
    (axes,) = curves.roc([one], counts).axes
    table = sk.confusion_matrix(one.positive, one.probs >= one.threshold)
    (dot,) = (
        mark
        for mark in axes.lines
        if to_hex(mark.get_markerfacecolor()) == style.ORANGE
    )
    expected = table[0, 1] / table[0].sum(), table[1, 1] / table[1].sum()
    np.testing.assert_allclose((dot.get_xdata()[0], dot.get_ydata()[0]), expected)
    texts = [text.get_text() for text in axes.texts]
    assert "threshold 0.40" in texts and "AUROC 0.80 (0.70 to 0.90)" in texts


def test_precision_recall_matches_scikit_learn():
    one, counts = cases()
    (axes,) = curves.precision_recall([one], counts).axes
    precision, recall, _ = sk.precision_recall_curve(one.positive, one.probs)
    first = np.flatnonzero(recall == 1)[-1]  # what follows calls negatives only
    x, y = line(axes)
    # scikit-learn ends at precision 1, which no threshold has.
    np.testing.assert_allclose(x[1:], recall[first:-1][::-1], atol=1e-12)
    np.testing.assert_allclose(y[1:], precision[first:-1][::-1], atol=1e-12)
    assert (x[0], y[0]) == (0, y[1])
    area = sk.average_precision_score(one.positive, one.probs)
    assert f"average precision {area:.2f} (" in axes.texts[1].get_text()


def test_the_precision_band_is_at_the_threshold_that_reaches_a_recall():
    one, counts = cases(80)
    (axes,) = curves.precision_recall([one], counts).axes
    drawn, grid = [], np.linspace(0, 1, 101)
    for row in counts[1:].astype(int):
        again = np.repeat(np.arange(len(row)), row)
        precision, recall, _ = sk.precision_recall_curve(
            one.positive[again], one.probs[again]
        )
        precision, recall = precision[-2::-1], recall[-2::-1]
        drawn.append([precision[np.argmax(recall >= g - 1e-9)] for g in grid])
    expected = np.quantile(drawn, (0.025, 0.975), axis=0)
    np.testing.assert_allclose(filled(axes)[1:], expected, atol=1e-9)


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_calibration_matches_scikit_learn(decimals):
    one, counts = cases(decimals=decimals)
    (axes,) = curves.calibration([one], counts).axes
    share, mean = calibration_curve(
        one.positive, one.probs, n_bins=10, strategy="quantile"
    )
    dots = [mark for mark in axes.lines if mark.get_marker() == "o"]
    found = [(mark.get_xdata()[0], mark.get_ydata()[0]) for mark in dots]
    np.testing.assert_allclose(found, np.stack([mean, share], axis=1))


def test_calibration_intervals_are_of_the_share_in_the_bin():
    one, counts = cases()
    (axes,) = curves.calibration([one], counts).axes
    place = points.bins(one.probs)
    bars = [mark for mark in axes.lines[1:] if mark.get_marker() != "o"]
    hollow = [mark for mark in axes.lines if mark.get_markerfacecolor() == "none"]
    defined = 0
    for k in np.unique(place):
        own, inside = counts[1:, place == k], one.positive[place == k]
        size = patients.number(counts, place == k)
        if 0 < inside.mean() < 1 and size >= patients.LEAST:
            shares = own @ inside / own.sum(axis=1)
            expected = np.nanquantile(shares, (0.025, 0.975))
        elif inside.mean() in (0, 1):  # all or none are positive
            expected = patients.exact(size * int(inside.mean()), size)
        else:
            continue
        np.testing.assert_allclose(bars[defined].get_ydata(), expected)
        defined += 1
    # The others have too few patients.
    assert len(bars) == defined and len(hollow) == len(np.unique(place)) - defined


def test_net_benefit_matches_the_metric():
    one, counts = cases()
    (axes,) = curves.decision([one], counts).axes
    once = np.ones((1, len(one.probs)))
    x, y = line(axes)
    expected = [probability.net_benefit(one.positive, one.probs, t, once)[0] for t in x]
    np.testing.assert_allclose(y, expected, atol=1e-12)
    np.testing.assert_allclose(x, np.arange(1, 100) / 100)
    everybody = [
        probability.net_benefit(one.positive, np.ones(len(one.probs)), t, once)[0]
        for t in x
    ]
    (dashed,) = (
        mark for mark in axes.lines if len(mark.get_xdata()) == 99 and mark.is_dashed()
    )
    np.testing.assert_allclose(dashed.get_ydata(), everybody, atol=1e-12)
    drawn = [
        probability.net_benefit(one.positive, one.probs, 0.2, counts[1:].astype(float))
    ]
    _, low, high = filled(axes)
    expected = np.quantile(drawn, (0.025, 0.975))
    np.testing.assert_allclose((low[19], high[19]), expected)


def nothing(n, positive, probs):
    probs = np.full(n, probs) if np.isscalar(probs) else probs
    return curves.Curve("a", np.asarray(positive, bool), probs, 0.5, None)


ODD = {
    "no case": nothing(0, [], 0.5),
    "one case": nothing(1, [True], 0.5),
    "one class": nothing(4, [False] * 4, np.array([0, 0.2, 0.6, 1])),
    "all alike": nothing(6, [True, False, True, False, False, False], 0.5),
    "two cases": nothing(2, [True, False], np.array([1.0, 0.0])),
    "area undefined": nothing(3, [True, False, True], 0.1)._replace(
        area=Estimate(np.nan, np.nan, np.nan, 3, "one class")
    ),
}


@pytest.mark.parametrize("draw", curves.KINDS.values(), ids=curves.KINDS)
def test_odd_cases_are_drawn(draw):
    for name, one in ODD.items():
        resamples = 0 if name == "two cases" else 20
        counts = bootstrap.weights(np.arange(len(one.probs)), resamples)
        svg = style.inline_svg(draw([one], counts), "a", "b")
        ElementTree.fromstring(svg)
        assert not re.search(r"\bnan\b", svg, re.IGNORECASE)


def test_a_panel_says_why_it_is_empty():
    for draw in (curves.roc, curves.precision_recall):
        for name, words in (("one class", "one class"), ("no case", "no cases")):
            one = ODD[name]
            counts = bootstrap.weights(np.arange(len(one.probs)), 5)
            (axes,) = draw([one], counts).axes
            assert any(words in text.get_text() for text in axes.texts)


@pytest.mark.parametrize("draw", [curves.roc, curves.decision])
def test_six_classes_are_six_panels(draw):
    several = [cases(200, seed, 6, f"class {seed}")[0] for seed in range(6)]
    counts = bootstrap.weights(np.arange(200), 20)
    figure = draw(several, counts)
    assert [a.texts[0].get_text() for a in figure.axes] == [c.name for c in several]


@pytest.mark.parametrize("draw", curves.KINDS.values(), ids=curves.KINDS)
def test_six_classes_of_five_thousand_cases_stay_small(draw):
    one, _ = cases(5000, decimals=9)
    figure = draw([one] * 6, bootstrap.weights(np.arange(5000), 10))
    assert len(style.inline_svg(figure, "a", "b")) < 150_000


def test_a_band_leaves_out_resamples_of_one_class(monkeypatch):
    monkeypatch.setattr(patients, "LEAST", 1)
    positive, probs = np.array([True, False, False]), np.array([0.9, 0.5, 0.1])
    counts = np.array([[1, 1, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]], np.uint16)
    statistic = partial(points.sensitivity, points.ranked(positive, probs))
    band = points.band(statistic, counts)
    np.testing.assert_array_equal(band.lo, 1)
    assert points.band(statistic, counts[[0, 1, 1, 2]]) is None


@pytest.mark.parametrize("draw", ["roc", "precision_recall", "calibration", "decision"])
def test_long_names_of_classes_do_not_lie_over_each_other(draw):
    """Nor do they leave the figure."""
    names = ("Opacity_" * 12 + "1", "No acute abnormality " * 5, "Edema")
    found = [cases(seed=k, name=name)[0] for k, name in enumerate(names)]
    figure = getattr(curves, draw)(found, cases()[1])
    FigureCanvasAgg(figure).draw()
    heads = [
        text.get_window_extent()
        for axes in figure.axes
        for text in axes.texts
        if text.get_fontweight() == "bold"
    ]
    assert len(heads) == 3
    assert not any(
        one.overlaps(other) for k, one in enumerate(heads) for other in heads[:k]
    )
    assert max(head.x1 for head in heads) <= figure.bbox.x1
