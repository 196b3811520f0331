"""Shares of maps against areas, and likeness of maps."""

import numpy as np
import pytest

from cxr_jax import experiment
from cxr_jax.audits.model import saliency
from cxr_jax.data import cache, roles
from cxr_jax.rng import generator


def test_similar_and_different_maps():
    g = generator(0, "maps")
    maps = g.normal(size=(5, 20, 20))
    assert saliency.likeness(maps, 3 * maps) == pytest.approx(1.0)
    assert saliency.likeness(maps, -maps) == pytest.approx(1.0)  # sizes count
    assert abs(saliency.likeness(maps, g.normal(size=maps.shape))) < 0.15
    assert np.isnan(saliency.likeness(maps, np.zeros_like(maps)))


def test_an_untrained_model_looks_everywhere(tiny_config, tmp_path):
    """Its integrated gradients fall on the border as its area says, more or less."""
    with tiny_config.unlocked():
        tiny_config.model.pool = "global"
    splits = roles.open_splits(tiny_config.data, tmp_path)
    exp = experiment.build(tiny_config, train_examples=splits.train.size)
    split = splits.test._replace(
        pixels=cache.decoded(splits.test, tiny_config.data.size, "stretch")
    )
    lungs = np.zeros((split.size, 48, 48, 1), bool)
    lungs[:, 12:36, 12:36] = True
    found = saliency.measure(exp, exp.init(), split, lungs, 0)
    methods = ["Grad-CAM", "integrated gradients", "occlusion"]
    assert [one.method for one in found] == methods
    for one in found:
        assert one.lungs_area == pytest.approx(0.25)
        assert one.border_area == pytest.approx(1 - (40 / 48) ** 2)
        assert one.lungs.lo <= one.lungs.value <= one.lungs.hi
    for one in found[1:]:
        assert one.border.value == pytest.approx(one.border_area, abs=0.2)
    json = saliency.to_json(found[0])
    assert json["lungs"]["value"] == found[0].lungs.value
