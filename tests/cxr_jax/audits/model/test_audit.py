"""A trained model's audit: controls, alterations and groups, and a planted marker."""

import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import common
from cxr_jax.audits import verdicts
from cxr_jax.audits.model import alterations, audit
from cxr_jax.data import decode, roles
from cxr_jax.evaluation import subgroups
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap, patients, weighted
from cxr_jax.train import loop


def pictures(n=3, side=50, dtype=np.uint8):
    top = np.iinfo(dtype).max
    return generator(0, "pictures").integers(1, top, (n, side, side, 1), dtype)


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
def test_a_group_has_the_metric_of_its_own_images(seed):
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
    found = subgroups.of_metrics(table, {}, make, counts, ("auroc",))
    by_name = {(one.attribute, one.name): one for one in found}
    women = by_name["sex", "F"]
    own = slice(40, 70)
    expected = weighted.auroc(positive[own], scores[own], np.ones((1, 30)))[0]
    assert women.figures["auroc"].value == pytest.approx(expected)
    assert women.images == women.patients == 30
    assert ("sex", "X") not in by_name  # too few
    thirds = [one for one in found if one.attribute == "age"]
    assert len(thirds) == 3 and sum(one.images for one in thirds) == 70


@pytest.fixture(params=[True, False], ids=["marker", "none"])
def trained(request, tiny_config, tmp_path, keep_signals, monkeypatch):
    """A classifier of left and right halves; half the time a corner says the class."""
    monkeypatch.setattr(patients, "LEAST", 2)  # of each class there are four
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

    pictures_of = decode.pictures

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
    monkeypatch.setattr(decode, "pictures", drawn)
    assert loop.train(tiny_config, tmp_path / "run") == 0
    return request.param, tmp_path


def test_a_planted_marker_is_found_and_nothing_without_one(trained, capsys):
    has_marker, folder = trained
    assert audit.audit(folder / "run", folder / "audit") == 0
    found = json.loads((folder / "audit" / "model_audit.json").read_text())
    assert found["whole"]["value"] > 0.9
    border = found["hidden"]["border only"]["figure"]
    # It would be the same pixels at 48 of a side.
    assert "middle 70% hidden" not in found["hidden"]
    told = {each.kind: each for each in verdicts.from_json(found, "")}
    assert ("shortcut" in told) == has_marker
    assert ("SHORTCUT" in capsys.readouterr().out) == has_marker
    alone = audit.shortcuts(folder / "run")
    assert ("shortcut" in {each.kind for each in alone}) == has_marker
    controls = [
        v["values"]["control"] for v in found["verdicts"] if "control" in v["values"]
    ]
    assert [each.values["control"] for each in alone] == controls
    if has_marker:
        assert (border["lo"] or border["value"]) > 0.8
        assert told["shortcut"].severity == verdicts.STOP
        assert told["shortcut"].values["estimate"] == border
    else:
        assert not border["value"] or border["lo"] is None or border["lo"] <= 0.5
    nothing = found["hidden"]["nothing"]["figure"]["value"]
    assert nothing is None or nothing == 0.5
