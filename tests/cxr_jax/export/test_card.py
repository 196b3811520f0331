"""The model card of runs on real datasets, of which the phantoms' card says nothing."""

import pytest

from cxr_jax.export import card
from cxr_jax.predict import of_run
from tfds_builders import DATASETS
from tfds_builders.common import card as cards

CHECKED = {"films": 64, "source": "films", "differences": {"probs": 0.0}}
ROW = {"bytes": 1, "latency_ms": 1.0, "probs": 0.0}


@pytest.mark.parametrize("name", DATASETS)
def test_it_has_the_limits_and_licence_of_each_dataset(trained, monkeypatch, name):
    opened = of_run.open_run(trained)
    read = card.results_file.read

    def real(path, form):
        return read(path, form) | {"dataset": f"{name}/512", "synthetic": False}

    monkeypatch.setattr(card.results_file, "read", real)
    found = card.sections(opened, CHECKED | {"variants": {"float32": ROW}})
    text = card.to_markdown(opened, found)
    known = cards.load(name)
    for sentence in (*known.limitations, known.licence, known.summary):
        assert sentence in text
    assert card.to_html(opened, found).startswith("<!doctype html>")


@pytest.mark.parametrize("least", [0.0, 0.05])
def test_it_says_where_val_settled_nothing(trained, least):
    opened = of_run.open_run(trained)
    decision = opened.recipe.decision._replace(set_least=least)
    opened = opened._replace(recipe=opened.recipe._replace(decision=decision))
    found = card.sections(opened, CHECKED | {"variants": {"float32": ROW}})
    assert ("not calibrated" in card.to_markdown(opened, found)) == (least == 0)
