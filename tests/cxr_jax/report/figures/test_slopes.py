"""Labels that would overlap are moved apart; a picture shows what it was given."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxr_jax.report.figures import slopes, style
from cxr_jax.stats.estimate import Estimate, point

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(sorted)


@given(VALUES, st.floats(0.001, 0.3))
def test_labels_are_apart_in_their_order_around_their_middle(values, apart):
    found = slopes.spread(values, apart)
    assert len(found) == len(values)
    assert (np.diff(found) >= apart - 1e-9).all()
    assert math.isclose(np.mean(found), np.mean(values), abs_tol=1e-9)


@given(VALUES)
def test_labels_with_room_stay(values):
    values = [value + 2 * k for k, value in enumerate(values)]
    np.testing.assert_allclose(slopes.spread(values, 0.5), values, rtol=1e-12)


def test_lower_is_better_turns_the_axis_and_names_are_written():
    lines = (
        slopes.Slope("one", (point(0.5), Estimate(0.8, 0.7, 0.9, 91), None)),
        slopes.Slope("two", (None, Estimate(0.6, 0.5, 0.7, 16), point(0.7, 9)), True),
    )
    figure = slopes.slopes(
        [slopes.Panel("Zone MAE", lines, True), slopes.Panel("AUROC", lines)],
        ("claimed", "here", "elsewhere"),
    )
    turned, plain = (axes.yaxis_inverted() for axes in figure.axes)
    assert turned and not plain
    text = style.to_svg(figure).decode()
    for part in ("one", "two", "0.80 (0.70 to 0.90), n = 91", "elsewhere", "Zone MAE"):
        assert part in text
