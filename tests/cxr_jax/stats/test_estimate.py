import json
import math

import pytest

from cxr_jax.stats.estimate import Estimate, number, point, undefined


@pytest.mark.parametrize(
    "estimate, how, text",
    [
        (Estimate(0.8421, 0.8012, 0.8764, 9), {}, "0.842 (0.801 to 0.876)"),
        (Estimate(0.8421, 0.8012, 0.8764, 9), {"digits": 2}, "0.84 (0.80 to 0.88)"),
        (Estimate(0.01, -0.002, 0.02, 9), {"sign": True}, "+0.010 (-0.002 to +0.020)"),
        (Estimate(0.5, 0.25, 0.75, 9), {"unit": "%"}, "50.0 % (25.0 to 75.0 %)"),
        (point(0.5, 9, "no interval: all resamples are alike"), {}, "0.500"),
        (undefined(0, "no images"), {}, "not defined: no images"),
        (Estimate(*[math.nan] * 3, 4), {}, "not defined"),
    ],
)
def test_an_estimate_prints_itself(estimate, how, text):
    assert estimate.text(**how) == text


@pytest.mark.parametrize(
    "value, text",
    [(-0.0001, "0.000"), (512.34, "512.3"), (-512.0, "-512.0"), (math.nan, "n/a")],
)
def test_numbers_have_a_sensible_length(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    "estimate",
    [
        Estimate(0.5, 0.25, 0.75, 9),
        undefined(3, "no positives"),
        point(0.5, 2, "alike"),
    ],
)
def test_an_estimate_survives_a_file(estimate):
    found = Estimate.from_json(json.loads(json.dumps(estimate.to_json())))
    assert str(found) == str(estimate)  # NaN is not equal to itself
    assert ("reason" in estimate.to_json()) == bool(estimate.reason)
