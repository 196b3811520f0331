"""A trained model's audit: controls, alterations and groups, and a planted marker."""

import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import common
from cxr_jax.audits.model import (
    agreement_groups,
    alterations,
    audit,
    controls,
    looking,
    report,
    subgroups,
)
from cxr_jax.data import roles, source
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.bootstrap import Estimate
from cxr_jax.train import loop


def pictures(n=3, side=50, dtype=np.uint8):
    top = np.iinfo(dtype).max
    return generator(0, "pictures").integers(1, top, (n, side, side, 1), dtype)


@pytest.mark.parametrize("share", controls.HIDDEN)
def test_the_middle_is_hidden_by_its_share(share):
    pixels = pictures(side=100)
    found = controls.hide_middle(pixels, share=share)
    hidden = found == 0
    assert hidden[0].mean() == pytest.approx(share, abs=0.015)
    np.testing.assert_array_equal(found[~hidden], pixels[~hidden])
    np.testing.assert_array_equal(hidden, hidden[:, ::-1, ::-1])


def test_border_and_lungs():
    pixels = pictures()
    border = controls.border_only(pixels)
    assert not border[:, 4:-4, 4:-4].any() and border[:, :4].all()
    lungs = np.zeros(pixels.shape, bool)
    lungs[:, 10:20, 10:20] = True
    outside, inside = (
        f(pixels, lungs) for f in (controls.hide_lungs, controls.lungs_only)
    )
    np.testing.assert_array_equal(outside.astype(int) + inside, pixels)
    assert not outside[:, 10:20, 10:20].any()


@pytest.mark.parametrize("name", alterations.ALTERATIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alterations_grow_with_their_strength(name, dtype):
    smooth = np.linspace(0, 1, 40)[:, None] * np.linspace(0.3, 1, 40)
    smooth = smooth + 0.2 * np.sin(np.arange(40) / 3)
    grey = np.clip(smooth, 0, 1) * np.iinfo(dtype).max
    pixels = np.repeat(grey.astype(dtype)[None, ..., None], 4, axis=0)
    strengths = alterations.ALTERATIONS[name].strengths
    assert len(strengths) == 5
    found = [alterations.alter(pixels, name, s, seed=0) for s in strengths]
    assert all(one.dtype == dtype and one.shape == pixels.shape for one in found)
    change = [np.abs(one.astype(float) - pixels).mean() for one in found]
    assert change[-1] > 0
    if name == "gamma":  # from brighter to darker
        assert [one.mean() for one in found] == sorted(o.mean() for o in found)[::-1]
    else:
        assert change == sorted(change)
    again = alterations.alter(pixels, name, strengths[2], seed=0)
    np.testing.assert_array_equal(again, found[2])


def test_an_inverted_film_is_its_negative():
    pixels = pictures()
    found = alterations.alter(pixels, "inverted", 1.0, seed=0)
    np.testing.assert_array_equal(found, 255 - pixels)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_a_group_has_the_figure_of_its_images_alone(seed):
    g = generator(seed, "groups")
    sex = ["M"] * 40 + ["F"] * 30 + ["X"] * 3
    age = np.r_[g.uniform(20, 80, 70), [np.nan] * 3]
    positive = np.r_[g.random(73) < 0.5]
    positive[[0, 1, 40, 41]] = True, False, True, False
    scores = g.normal(size=73) + positive
    counts = bootstrap.weights(np.arange(73), 20, seed)

    def make(members):
        return {"auroc": partial(weighted.auroc, positive[members], scores[members])}

    table = {"patient_id": np.arange(73), "sex": sex, "age": age}
    found = subgroups.of_metrics(table, {}, make, counts)
    by_name = {(one.attribute, one.name): one for one in found}
    women = by_name["sex", "F"]
    own = slice(40, 70)
    expected = weighted.auroc(positive[own], scores[own], np.ones((1, 30)))[0]
    assert women.figures["auroc"].value == pytest.approx(expected)
    assert women.images == women.patients == 30
    assert ("sex", "X") not in by_name  # too few
    thirds = [one for one in found if one.attribute == "age"]
    assert len(thirds) == 3 and sum(one.images for one in thirds) == 70


def test_verdicts_say_what_was_found():
    good, chance = Estimate(0.9, 0.85, 0.95, 90), Estimate(0.52, 0.4, 0.6, 90)
    left = {"ratio": good, "left": Estimate(0.97, 0.8, 1.1, 90)}
    flat = [(good, Estimate(0.0, -0.1, 0.1, 90))] * 5
    steep = [*flat[:3], *[(good, Estimate(0.2, 0.1, 0.3, 90))] * 2]
    altered = {"blur": flat, "noise": steep}
    found = report.verdicts(
        "auroc", good, {"border only": {"figure": good, **left}}, altered, []
    )
    assert "SHORTCUT" in found[0] and "0.900 (0.850 to 0.950)" in found[0]
    assert "noise" in found[1] and "from 0.1 on" in found[1]
    found = report.verdicts(
        "auroc", good, {"border only": {"figure": chance, **left}}, {}, []
    )
    assert "No better than chance" in found[0] and "nothing" in found[1]


def test_a_model_that_knows_nothing_is_told_first():
    chance = Estimate(0.52, 0.4, 0.6, 17)
    first, *_ = report.verdicts("auroc", chance, {}, {}, [])
    assert "0.520 (0.400 to 0.600) is no better than chance (0.5) on these 17" in first
    good = Estimate(0.52, 0.51, 0.6, 17)
    assert len(report.verdicts("auroc", good, {}, {}, [])) == 1
    good = Estimate(0.1, 0.05, 0.3, 17)  # a correlation
    assert len(report.verdicts("pearson_global", good, {}, {}, [])) == 1


@pytest.mark.parametrize(
    "likeness, said",
    [(0.2, "0.20: low"), (0.8, "0.80: they say little"), (float("nan"), "are flat")],
)
def test_maps_are_held_against_area_and_drawn_parameters(likeness, said):
    share = Estimate(0.3, 0.2, 0.4, 32)
    look = looking.Look("occlusion", None, float("nan"), share, 0.29, likeness)
    text = report.of_look(look)
    assert "30% of the map lies in the border (20% to 40%)" in text and said in text


def test_groups_of_one_class_are_no_all_clear():
    good, nothing = Estimate(0.9, 0.8, 1.0, 90), Estimate(*[float("nan")] * 3, 40)

    def row(attribute, name, estimate, gap):
        figures = {"auroc": estimate}, {"auroc": gap}
        return subgroups.Row(attribute, name, 40, 40, *figures)

    group = row("source", "one hospital", nothing, nothing)
    (line,) = report.verdicts("auroc", good, {}, {}, [group])
    assert "some class does not occur there" in line
    worse = row("sex", "F", good, Estimate(0.2, 0.1, 0.3, 90))
    (line,) = report.verdicts("auroc", good, {}, {}, [group, worse])
    assert "sex F" in line and "of 1 groups" in line


def test_the_largest_bias_is_told():
    good, none = Estimate(0.9, 0.8, 1.0, 90), Estimate(0.1, -0.2, 0.4, 40)

    def limits(name, bias):
        of_limit = Estimate(-3.0, -4.0, -2.0, 40), Estimate(5.0, 4.0, 6.0, 40)
        return agreement_groups.Limits("view", name, 40, 40, bias, good, *of_limit)

    low = Estimate(-1.25, -2.0, -0.5, 40)
    told = [limits("AP", low), limits("PA", Estimate(1.0, 0.2, 1.8, 40))]
    *_, line = report.verdicts("auroc", good, {}, {}, [], told)
    assert "view AP (40 images): -1.25 (-2.00 to -0.50) points" in line
    *_, line = report.verdicts("auroc", good, {}, {}, [], [limits("AP", none)])
    assert "in none of 1 groups" in line


@pytest.fixture(params=[True, False], ids=["marker", "none"])
def trained(request, tiny_config, tmp_path, keep_signals, monkeypatch):
    """A classifier of left and right halves; half the time a corner says the class."""
    with tiny_config.unlocked():
        tiny_config.total = "120 steps"
        tiny_config.batch_size = 16
        tiny_config.every.eval = tiny_config.every.checkpoint = "60 steps"
        tiny_config.preprocess.train = "to_float|standardise"
        common.use_task(
            tiny_config, "classify", "cross_entropy", classes=("dark", "light")
        )
        tiny_config.optim.lr, tiny_config.resamples = 3e-3, 200
    open_splits = roles.open_splits

    def planted(config, workdir):
        splits = open_splits(config, workdir)
        made = {}
        for role in ("train", "val", "test"):
            split = getattr(splits, role)
            label = np.arange(split.size) % 2
            table = {**split.table, "label": label}
            names = {**split.label_names, "label": ("dark", "light")}
            made[role] = split._replace(table=table, label_names=names)
        return splits._replace(**made)

    pictures_of = source.pictures

    def drawn(split, rows, size, square):
        found = pictures_of(split, rows, size, square)
        if split.pixels is not None:
            return found
        pixels, label = found["image"], split.table["label"][rows]
        noise = generator(0, "planted").integers(0, 8000, pixels.shape)
        pixels = (0.2 * pixels + noise).astype(pixels.dtype)
        corner = slice(0, 3) if request.param else slice(20, 28)
        pixels[label == 1, corner, corner] = np.iinfo(pixels.dtype).max
        return {"image": pixels}

    monkeypatch.setattr(roles, "open_splits", planted)
    monkeypatch.setattr(source, "pictures", drawn)
    assert loop.train(tiny_config, tmp_path / "run") == 0
    return request.param, tmp_path


def test_a_planted_marker_is_found_and_nothing_where_there_is_none(trained, capsys):
    has_marker, folder = trained
    assert audit.audit(folder / "run", folder / "audit") == 0
    found = json.loads((folder / "audit" / "model_audit.json").read_text())
    assert found["whole"]["value"] > 0.9
    border = found["hidden"]["border only"]["figure"]
    shown = capsys.readouterr().out
    if has_marker:
        assert (border["lo"] or border["value"]) > 0.8 and "SHORTCUT" in shown
    else:
        assert not border["value"] or border["lo"] is None or border["lo"] <= 0.5
        assert "SHORTCUT" not in shown
    nothing = found["hidden"]["nothing"]["figure"]["value"]
    assert nothing is None or nothing == 0.5
